import type { VaultErrorCode } from '../errors/vault-error.js';

/** The data of an answer that is not a success. */
export interface FailedResponse {
  status: number;
  /** The server's own words, if the body was a Vault error. */
  messages: readonly string[];
  /** The data of the answer beside its errors. */
  data?: unknown;
  /** False if the body does not have the form of Vault, so that another server has answered. */
  json: boolean;
  /** Whether the request was sent without TLS to a port that requires it. */
  wantsTls?: boolean;
  method: string;
  path: string;
  namespace?: string;
  /** The namespace of the token; '' is the root. */
  tokenNamespace?: string;
  /** Capabilities that a policy must grant for the request. @default by the method */
  capabilities?: readonly string[];
  /** Asked before the meaning that answers have for all requests. */
  explain?: (refusal: RefusalWithData) => PathExplanation | undefined;
  /** The remedy if the server has nothing at the path. */
  missingHint?: string;
  /** Milliseconds by which the server's clock is ahead of the local one, if the answer has a date. */
  clockSkew?: number;
  /** Milliseconds from `Retry-After`. */
  retryAfter?: number;
}

/** The meaning of an answer, and the remedy. */
export type Verdict = [code: VaultErrorCode, message: string, hint: string, version?: number];

/**
 * A request that the server refused.
 *
 * @publicApi
 */
export interface Refusal {
  readonly status: number;
  /** API path below `/v1/`. */
  readonly path: string;
  /** Namespace of the request; '' is the root. */
  readonly namespace: string;
  /** Whether one of the server's sentences matches. They are not shown, because servers repeat inputs in them. */
  readonly said: (pattern: RegExp) => boolean;
}

/**
 * The meaning of a refusal: the parts of a `VaultError`, without secrets.
 *
 * @publicApi
 */
export interface Explanation {
  code: VaultErrorCode;
  /** The event, with its actor. */
  message: string;
  /** The remedy. */
  hint: string;
}

/**
 * Explains a refusal; `undefined` if it does not know it.
 *
 * @publicApi
 */
export type Explain = (refusal: Refusal) => Explanation | undefined;

/** The meaning of a refusal at a path. */
export interface PathExplanation extends Explanation {
  /** The version of a KV secret that the server refuses. */
  version?: number;
}

/** A refusal with the data of the answer. */
export interface RefusalWithData extends Refusal {
  readonly data: unknown;
}

/** Knowledge about paths that comes from above this room. */
export interface PathRules {
  /** Whether a read at this path creates something, so that it cannot be repeated. */
  readonly creates: (path: string) => boolean;
  readonly explain: (refusal: RefusalWithData) => PathExplanation | undefined;
  /** The remedy if the server has nothing at a path. */
  readonly missingHint: string;
}

export const NO_PATH_RULES: PathRules = {
  creates: () => false,
  explain: () => undefined,
  missingHint: 'Check the name, the mount, and the version of the mount.',
};
