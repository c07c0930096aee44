import { isObject } from '../client/answer-members.js';
import { handled } from '../errors/handled.js';
import { kindOf } from '../errors/kind-of.js';
import { classOf } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';
import { comparableJson } from '../secret/fingerprint.js';
import { isSecret, Secret } from '../secret/secret.js';
import type { Answer, EngineRules, IssueParameters, Life } from './engine.js';

/** A capability in a policy of the server. */
export type PolicyCapability = 'create' | 'read' | 'update' | 'patch' | 'delete' | 'list' | 'sudo';

/**
 * A request for a secret.
 *
 * @publicApi
 */
export interface EngineRequest {
  /** API path below `/v1/`, encoded. */
  readonly path: string;
  /** Sent as a POST. Without them the request is a GET. */
  readonly parameters?: IssueParameters;
}

/**
 * A successful answer of the server.
 *
 * @publicApi
 */
export interface EngineAnswer<T extends object = Record<string, unknown>> extends EngineRequest {
  readonly data: Secret<T>;
  /** Whether the answer has a lease: then its TTL is the life of the secret. */
  readonly leased: boolean;
  /** Type of the engine at the mount, as `pki`; HashiCorp Vault only. */
  readonly mountType?: string;
  /** The time at which the request left. Durations count from it. */
  readonly sentAt: Date;
}

/**
 * The rules of a secrets engine that the package does not know: how long its answers live, and when two of them are the
 * same. Give it where it is used (`watch(path, { engine })`), or once in the options of the connection (`engines`).
 *
 * It has no state and sends no requests. An engine that throws, or returns something else, harms no other secret:
 * `life` then fails the read with `VAULT_EXTENSION_INVALID`, everything else is replaced by its default with a `warning`
 * event.
 *
 * @example
 * const licence: Engine<{ key: string; valid_until: string }> = {
 *   name: 'licence',
 *   owns: ({ path }) => path.startsWith('licence/key/'),
 *   life: ({ data, sentAt }) => ({ expiresIn: Date.parse(data.reveal().valid_until) - sentAt.getTime() }),
 *   comparable: (data) => data.reveal().key,
 * };
 * @publicApi
 */
export interface Engine<T extends object = Record<string, unknown>> {
  /** Named in errors and warnings. */
  readonly name: string;
  /**
   * The life of an answer without a lease, in milliseconds from `sentAt`; an empty object if it never ends. A secret
   * that expires is read again at nine tenths of its life; one that the server rotates, when it is due.
   */
  life(answer: EngineAnswer<T>): Life;
  /**
   * Whether the paths of this engine include a path. Called for the engines of the connection's options only, with
   * the answer, or before it with the request alone.
   */
  owns?(request: EngineRequest & Partial<EngineAnswer<T>>): boolean;
  /** The capabilities that a policy must grant, for the hint of a refusal. @default read; update with parameters */
  capabilities?(request: EngineRequest): readonly PolicyCapability[];
  /**
   * The part of the data that changes only with the secret, as JSON: consumers get a new snapshot when it differs.
   * @default all data
   */
  comparable?(data: Secret<T>): unknown;
}

/** The rules of an engine of the application, each result checked. */
export function ownEngine(engine: Engine, warn: (message: string) => void): EngineRules {
  const { name } = engine;
  let different = 0;
  const guarded = <R>(member: string, work: () => R, fallback: () => R): R => {
    try {
      return work();
    } catch (cause) {
      const problem = cause instanceof TypeError && cause.message.startsWith(MISTAKE) ? cause.message : '';
      warn(
        `The engine "${name}" failed in \`${member}\`${problem ? problem.slice(MISTAKE.length) : ` with ${classOf(cause)}`}. ` +
          'Its default is used.',
      );
      return fallback();
    }
  };
  return {
    name,
    life: (answer) => lifeOf(engine, answer),
    owns: (answer) =>
      guarded(
        'owns',
        () => {
          const owns: unknown = handled(engine.owns?.(requestOrAnswer(answer)) ?? false);
          if (typeof owns !== 'boolean') throw mistake(kindOf(owns));
          return owns;
        },
        () => false,
      ),
    capabilities: (path, parameters) =>
      guarded(
        'capabilities',
        () => {
          const capabilities = handled(engine.capabilities?.({ path, ...(parameters && { parameters }) }));
          if (capabilities === undefined) return undefined;
          const texts = Array.isArray(capabilities) && capabilities.length > 0;
          if (!texts || !capabilities.every((one) => /^[a-z]+$/.test(String(one)))) throw mistake('no names');
          return capabilities;
        },
        () => undefined,
      ),
    comparable: (data) =>
      guarded<object>(
        'comparable',
        () => {
          const value = engine.comparable
            ? handled(engine.comparable(new Secret(data as Record<string, unknown>)))
            : data;
          const shown = isSecret(value) ? value.reveal() : value;
          if (shown instanceof Promise || comparableJson(shown) === undefined) throw mistake(kindOf(shown));
          return { shown };
        },
        // Each counts as another one: consumers get one snapshot too many instead of none.
        () => ({ different: ++different }),
      ),
  };
}

const MISTAKE = 'mistake:';
const mistake = (what: string) => new TypeError(`${MISTAKE}, which returned ${what}`);

/** Before the answer of a request, only the request is known. */
function requestOrAnswer(answer: Answer): EngineRequest & Partial<EngineAnswer> {
  const { path, parameters } = answer;
  return 'sentAt' in answer ? answerFor(answer) : { path, ...(parameters && { parameters }) };
}

function answerFor({ path, parameters, data, leaseId, mountType, sentAt }: Answer): EngineAnswer {
  return {
    path,
    ...(parameters && { parameters }),
    data: new Secret(data),
    leased: leaseId !== '',
    ...(mountType !== undefined && { mountType }),
    sentAt: new Date(sentAt.wall),
  };
}

/** @throws VaultError `VAULT_EXTENSION_INVALID` */
function lifeOf(engine: Engine, answer: Answer): Life {
  let life: unknown;
  try {
    life = handled(engine.life(answerFor(answer)));
  } catch (cause) {
    throw invalid(engine.name, answer.path, `\`life\` threw ${classOf(cause)}`);
  }
  if (!isObject(life) || life instanceof Promise)
    throw invalid(engine.name, answer.path, `\`life\` returned ${kindOf(life)}`);
  for (const member of ['expiresIn', 'rotatesIn', 'confirmIn']) {
    const value = life[member];
    if (value !== undefined && !(typeof value === 'number' && value >= 0 && value < Infinity))
      throw invalid(engine.name, answer.path, `\`${member}\` is not a number of milliseconds from 0`);
  }
  return life;
}

function invalid(name: string, path: string, problem: string): VaultError {
  return new VaultError({
    code: 'VAULT_EXTENSION_INVALID',
    message: `The engine "${name}" has no valid life for the answer at ${path}: ${problem}.`,
    hint: 'Return { expiresIn } or { rotatesIn } in milliseconds, or {} for an answer that does not end.',
    path,
  });
}
