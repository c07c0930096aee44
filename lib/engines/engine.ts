import type { ApiResponse } from '../client/api.types.js';
import { writeBody } from '../client/request-body.js';

/** A successful answer of the server, with its request. */
export interface Answer extends ApiResponse<Readonly<Record<string, unknown>>> {
  /** API path below `/v1/`, encoded. */
  readonly path: string;
  readonly parameters: IssueParameters | undefined;
}

/**
 * How long an answer without a lease is valid. Milliseconds, counted from the time when the request left.
 *
 * @publicApi
 */
export interface Life {
  /** Time until it expires; absent if it does not. */
  readonly expiresIn?: number;
  /** Time until the server rotates it at the same path; 0 if due, absent if the server does not rotate it. */
  readonly rotatesIn?: number;
  /** Time until another read shows a rotation that may have been due before, if the answer does not show it. */
  readonly confirmIn?: number;
}

/** The rules of one secrets engine. It has no state and sends no requests. */
export interface EngineRules {
  /** Name in logs and events. */
  readonly name: string;
  /** Whether this engine sent the answer: by the mount type if the answer has it, otherwise by the path. */
  owns(answer: Answer): boolean;
  /** Called only for answers without a lease. The TTL of a lease is in the answer beside `data`. */
  life(answer: Answer): Life;
  /** The capabilities that a policy must grant to issue; undefined for the default. */
  capabilities?(path: string, parameters: IssueParameters | undefined): readonly string[] | undefined;
  /** Whether the data has the members of every answer of this engine; absent if they depend on the role. */
  isComplete?(data: Answer['data']): boolean;
  /** The part of the data that changes only with the secret. */
  comparable(data: object): object;
}

/** Finds the engine of an answer. */
export type EngineOf = (answer: Answer) => EngineRules;

/**
 * Parameters of an issue, for example the `common_name` of a certificate.
 *
 * @publicApi
 */
export type IssueParameters = Readonly<Record<string, unknown>>;

/**
 * The identity of parameters as a text: the same for all that are the same in a request. Their order does not matter.
 *
 * @throws VaultError `VAULT_REQUEST_INVALID` for parameters that cannot be sent
 */
export function parametersKey(parameters: IssueParameters, path: string): string {
  return JSON.stringify(JSON.parse(writeBody(parameters, path)), (_name, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
  });
}
