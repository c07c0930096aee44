import type { VaultErrorCode } from '../errors/vault-error.js';

/** The data of an answer that is not a success. */
export interface FailedResponse {
  status: number;
  /** The server's own words, if the body was a Vault error. */
  messages: readonly string[];
  /** False if the body was not JSON, so that the answer does not come from Vault. */
  json: boolean;
  /** Whether the request was sent without TLS to a port that requires it. */
  wantsTls?: boolean;
  method: string;
  path: string;
  namespace?: string;
  /** The namespace of the token; '' is the root. */
  tokenNamespace?: string;
  /** Milliseconds by which the server's clock is ahead of the local one, if the answer has a date. */
  clockSkew?: number;
  /** Milliseconds from `Retry-After`. */
  retryAfter?: number;
}

/** The meaning of an answer, and the remedy. */
export type Verdict = [code: VaultErrorCode, message: string, hint: string];
