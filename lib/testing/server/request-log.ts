import type { ServerTime } from './server-time.js';
import type { Token } from './model.js';

/**
 * One request that reached a simulated server. No secret is in it.
 *
 * @publicApi
 */
export interface HistoryEntry {
  /** As it was sent. */
  readonly method: string;
  /** With `/v1/`, without the query. */
  readonly path: string;
  /** The query, without the question mark. */
  readonly query: string;
  /** What was answered; `cut` where the connection failed before, `dropped` where it failed after the work. */
  readonly status: number | 'cut' | 'dropped' | undefined;
  /** Milliseconds since the server was made, in its own time. */
  readonly at: number;
  /** Namespace as the header named it, or nothing. */
  readonly namespace: string;
  /** Accessor of the token that was used, where the server knew it. */
  readonly accessor: string;
  /** Number of that token, counted from 1 in the order in which the server made them (1 is the root token). */
  readonly token: number | undefined;
  /** The parsed body; what can be a secret in it is `[redacted]`. */
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * Which requests: a text that `METHOD /v1/path` ends with or equals, a pattern for it, or a function.
 *
 * @publicApi
 */
export type RequestMatcher = string | RegExp | ((request: { method: string; path: string }) => boolean);

/** Fields that may be told; the others are secret or may hold one. */
const PLAIN = new Set(['increment', 'lease_id', 'role_id', 'sync', 'prefix', 'ttl', 'type', 'paths', 'path']);
const LIMIT = 200_000;

/** Compiles a matcher. */
export function matcher(match: RequestMatcher): (request: { method: string; path: string }) => boolean {
  if (typeof match === 'function') return match;
  if (typeof match === 'string') return ({ method, path }) => `${method} ${path}`.endsWith(match);
  return ({ method, path }) => match.test(`${method} ${path}`);
}

type Entry = { -readonly [K in keyof HistoryEntry]: HistoryEntry[K] };

/** The requests that reached a server, oldest first; of more than 200,000 the older half is forgotten. */
export class RequestLog {
  readonly #time: ServerTime;
  readonly #start: number;
  /** What nothing answered to, as `METHOD /v1/path`. */
  unhandled: string[] = [];
  #entries: Entry[] = [];

  constructor(time: ServerTime) {
    this.#time = time;
    this.#start = time.now;
  }

  get entries(): readonly HistoryEntry[] {
    return this.#entries;
  }

  clear(): void {
    this.#entries = [];
    // Another list, so that whoever remembers a place in the old one notices.
    this.unhandled = [];
  }

  begin(method: string, path: string, query: string, namespace: string): Entry {
    const at = this.#time.now - this.#start;
    const entry: Entry = {
      method,
      path,
      query,
      status: undefined,
      at,
      namespace,
      accessor: '',
      token: undefined,
      body: NOTHING,
    };
    if (this.#entries.push(entry) > LIMIT) this.#entries = this.#entries.slice(LIMIT / 2);
    return entry;
  }
}

export type OpenEntry = Entry;

const NOTHING = Object.freeze({});

/** Fills in who asked for what. */
export function describeCall(entry: Entry, token: Token | undefined, body: Record<string, unknown>): void {
  entry.accessor = token?.accessor ?? '';
  entry.token = token?.number;
  const keys = Object.keys(body);
  if (keys.length === 0) return;
  entry.body = Object.fromEntries(keys.map((key) => [key, PLAIN.has(key) ? body[key] : '[redacted]']));
}
