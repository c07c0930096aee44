import { styleText, type InspectOptions } from 'node:util';
import { printable } from '../errors/printable.js';
import type { VaultErrorCode } from '../errors/vault-error.js';
import { LOG_LINES, type LogLevel, type VaultLogCode } from './log-lines.js';

/** Limit of a text in characters: an error with its hint, and the name of its subject. */
const LONGEST = 17_000;
/** As Nest colours its own lines. */
const COLOURS = { debug: 'magentaBright', log: 'green', warn: 'yellow', error: 'red' } as const;

/** Members whose texts are always of this package. All others may come from outside. */
const OWN_TEXTS: ReadonlySet<string> = new Set<keyof LogLineMembers>([
  'validUntil',
  'next',
  'nextAt',
  'reason',
  'errorCode',
]);

/** The members of a line that not every line has. Each is a plain value, so that no logger shortens it. @inline */
export interface LogLineMembers {
  /** Name of the connection. */
  readonly connection?: string;
  /** Path of the secret. */
  readonly path?: string;
  /** Serial number of the lease within its path. */
  readonly lease?: number;
  /** Sequence number of the token within its connection. */
  readonly token?: number;
  /** Version of a KV secret. */
  readonly version?: number;
  /** Package of a pool's driver. */
  readonly pool?: string;
  /** The end of the token or lease, as an ISO date. Absent without expiry. */
  readonly validUntil?: string;
  /** The next step for the token, lease or secret. */
  readonly next?: 'login' | 'renew' | 'issue' | 'retire' | 'read';
  /** The time of the next step, as an ISO date. */
  readonly nextAt?: string;
  /** The reason of a login, a rotation, an end or a pool's problem. */
  readonly reason?: string;
  /** Number of failed attempts in a row. */
  readonly attempt?: number;
  /** The code of the error. */
  readonly errorCode?: VaultErrorCode;
  /** The HTTP status of the error's answer. */
  readonly status?: number;
  /** The length of an outage, or of other trouble, in milliseconds. */
  readonly duration?: number;
  /** How often a trouble that comes and goes has come. */
  readonly times?: number;
  /** Number of attempts that failed meanwhile. */
  readonly failedAttempts?: number;
  /** Number of tokens, leases and secrets whose attempts failed meanwhile. */
  readonly affected?: number;
  /** Names of TLS files. */
  readonly files?: readonly string[];
}

/** The level of a line. No member, because winston sets one of this name. */
export let levelOf: (line: VaultLogLine) => LogLevel;

// Declared for its members, which the constructor copies.
// oxlint-disable-next-line no-unsafe-declaration-merging
export interface VaultLogLine extends LogLineMembers {}

/**
 * A line of the log: one event, without any secret. Its members are enumerable, so loggers of JSON write each as a field;
 * as a text, and for `console` and Nest's own logger, it is `message` alone.
 *
 * @publicApi
 */
export class VaultLogLine {
  /** For people: one line. */
  readonly message: string;
  /** For programs. */
  readonly code: VaultLogCode;
  readonly #level: LogLevel;

  static {
    levelOf = (line) => line.#level;
  }

  constructor(
    code: VaultLogCode,
    text: string,
    members: LogLineMembers = {},
    level: LogLevel = LOG_LINES[code],
  ) {
    const { connection } = members;
    this.message = printable(connection === undefined ? text : `[${connection}] ${text}`, LONGEST);
    this.code = code;
    this.#level = level;
    const own = this as unknown as Record<string, unknown>;
    // No list of entries is made: each renewal of ten thousand leases is a line.
    for (const name in members) {
      const value = members[name as keyof LogLineMembers];
      own[name] = typeof value === 'string' && !OWN_TEXTS.has(name) ? printable(value) : value;
    }
  }

  /** The text. */
  toString(): string {
    return this.message;
  }

  /** @internal The text alone, in the colour of its level; within another object, the members. */
  [Symbol.for('nodejs.util.inspect.custom')](depth: number | null, options: InspectOptions): unknown {
    if ((depth ?? 0) < (options.depth ?? 0)) return Object.fromEntries(Object.entries(this));
    const { message } = this;
    return options.colors ? styleText(COLOURS[this.#level], message, { validateStream: false }) : message;
  }
}

/** All members but the text. */
export function membersOf(line: VaultLogLine): object {
  return Object.fromEntries(Object.entries(line).filter(([name]) => name !== 'message'));
}
