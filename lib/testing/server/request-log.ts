import type { ServerTime } from './server-time.js';
import type { Token } from './model.js';

/**
 * One request that reached a simulated server. It contains no secret.
 *
 * @publicApi
 */
export interface HistoryEntry {
  /** HTTP method, as sent. */
  readonly method: string;
  /** Path with `/v1/`, without the query. */
  readonly path: string;
  /** Query without the question mark. */
  readonly query: string;
  /** Status of the answer; `cut` if the connection failed before the work, `dropped` if it failed after it. */
  readonly status: number | 'cut' | 'dropped' | undefined;
  /** Milliseconds of the server since its creation. */
  readonly at: number;
  /** Namespace in the header, or `''`. */
  readonly namespace: string;
  /** Accessor of the token, or `''` if the server did not know the token. */
  readonly accessor: string;
  /** Number of the token in the order of creation; 1 is the root token. */
  readonly token: number | undefined;
  /** Parsed body; values that may be secret are `[redacted]`. */
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * Selects requests: the end of `METHOD /v1/path` as a text, a pattern for it, or a function.
 *
 * @publicApi
 */
export type RequestMatcher = string | RegExp | ((request: { method: string; path: string }) => boolean);

/** Fields of bodies that are recorded in clear; all others may hold a secret. */
const PLAIN = new Set(['increment', 'lease_id', 'role_id', 'sync', 'prefix', 'ttl', 'type', 'paths', 'path']);
const LIMIT = 200_000;

/** Compiles a matcher. */
export function matcher(match: RequestMatcher): (request: { method: string; path: string }) => boolean {
  if (typeof match === 'function') return match;
  if (typeof match === 'string') return ({ method, path }) => `${method} ${path}`.endsWith(match);
  return ({ method, path }) => match.test(`${method} ${path}`);
}

type Entry = { -readonly [K in keyof HistoryEntry]: HistoryEntry[K] };

/** Requests that reached a server, oldest first; of more than 200,000 the older half is dropped. */
export class RequestLog {
  readonly #time: ServerTime;
  readonly #start: number;
  /** Requests without an answer, as `METHOD /v1/path`. */
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
    // A new array: a reader that keeps an index into the old one notices the change.
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

/** Adds the token and the redacted body to an entry. */
export function describeCall(entry: Entry, token: Token | undefined, body: Record<string, unknown>): void {
  entry.accessor = token?.accessor ?? '';
  entry.token = token?.number;
  const keys = Object.keys(body);
  if (keys.length === 0) return;
  entry.body = Object.fromEntries(keys.map((key) => [key, PLAIN.has(key) ? body[key] : '[redacted]']));
}
