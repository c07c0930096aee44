import type { Lease } from './leases.js';
import type { Namespace } from './namespaces.js';
import type { Token } from './tokens.js';

/** What a request asks for, in the words of policies; HTTP methods map to it. */
export type Operation = 'read' | 'list' | 'update' | 'patch' | 'delete';

/** One request, as an engine gets it. */
export interface Call {
  operation: Operation;
  /** Below the mount. */
  path: string;
  /** Below the namespace, mount included. */
  fullPath: string;
  body: Record<string, unknown>;
  query: URLSearchParams;
  contentType: string;
  namespace: Namespace;
  token: Token | undefined;
  /** The `X-Vault-Token` as it was sent, valid or not. */
  rawToken: string;
  /** The IP address it comes from. */
  source: string;
}

/** What an engine answers; the envelope is put around it. Nothing at all is a 204. */
export interface Result {
  status?: number;
  data?: object | null;
  /** A token that was made or renewed. */
  auth?: Token;
  lease?: Lease;
  /** Seconds that a secret without a lease may be cached. */
  leaseDuration?: number;
  warnings?: string[];
  /** Sent as it is, without an envelope. */
  bare?: unknown;
  /** Instead of an envelope of its own: that of the answer that was wrapped. */
  unwrapped?: object;
  wrapInfo?: object;
  /** Repeats `data` at the top level, as some paths below sys/ do. */
  flat?: boolean;
}

export type Maybe<T> = T | Promise<T>;

/** A secrets engine or auth method. */
export interface Backend {
  /** As the server names the type of the mount. */
  readonly type: string;
  handle(call: Call): Maybe<Result | void>;
  /** Where given, a write of what is not there yet needs `create` instead of `update`. */
  exists?(call: Call): boolean;
  /** Paths that need no token. */
  open?(path: string): boolean;
}

/** An answer that is not a success, in the server's words. */
export class Refusal extends Error {
  readonly errors: readonly string[];

  constructor(
    readonly status: number,
    ...errors: string[]
  ) {
    super(errors.join('; '));
    this.errors = errors;
  }
}

/** Nothing at that path in this simulation, and perhaps not on a server either. */
export class Unknown extends Refusal {}

/** A 404 without a body. */
export class EmptyNotFound extends Refusal {
  constructor() {
    super(404);
  }
}

/** A 404 with the server's advice in its warnings. */
export class WrongKvPath extends Refusal {
  constructor(readonly warnings: string[]) {
    super(404, ...warnings);
  }
}

/** How the server writes errors that it has collected. */
export const collected = (...errors: string[]) =>
  `${errors.length} error${errors.length === 1 ? '' : 's'} occurred:\n${errors.map((e) => `\t* ${e}\n`).join('')}\n`;

export const notFound = () => new Refusal(404);

/** Handlers by operation and path below the mount; groups of the pattern are handed on. */
export type Route = [
  operations: readonly Operation[],
  path: RegExp,
  handler: (call: Call, ...groups: string[]) => Maybe<Result | void>,
];

/** Finds the handler of a call. */
export function route(routes: readonly Route[], call: Call): Maybe<Result | void> {
  let known = false;
  for (const [operations, pattern, handler] of routes) {
    const match = pattern.exec(call.path);
    if (!match) continue;
    known = true;
    if (operations.includes(call.operation)) return handler(call, ...match.slice(1));
  }
  if (known) throw new Unknown(405, collected('unsupported operation'));
  throw new Unknown(404, collected('unsupported path'));
}

/** A field of a body that is a text. */
export const text = (value: unknown): string =>
  typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';

/** A field of a body that is a list: an array, or a text with commas. */
export function list(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  return text(value)
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean);
}
