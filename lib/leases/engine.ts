import type { ApiResponse } from '../client/api.types.js';

/** A success of the server, with the request that it answers. */
export interface Answer extends ApiResponse<Readonly<Record<string, unknown>>> {
  /** Below `/v1/`, encoded. */
  readonly path: string;
  readonly parameters: IssueParameters | undefined;
}

/** How long an answer without a lease is good. Milliseconds from when the request left. */
export interface Life {
  /** Until it expires; absent where it does not. */
  readonly expiresIn?: number;
  /** Until the server rotates it at the same path, 0 where that is due; absent where no server does. */
  readonly rotatesIn?: number;
  /** Until a rotation shows that may have been due before, where the answer does not tell of it. */
  readonly confirmIn?: number;
}

/** Knowledge of one secrets engine. It holds no state, and makes no requests. */
export interface Engine {
  /** As in logs and events. */
  readonly name: string;
  /** Whether the answer is one of this engine: by the type of the mount where the server says it, else by the path. */
  owns(answer: Answer): boolean;
  /** Asked for answers without a lease only: the life of a lease stands in the envelope. */
  life(answer: Answer): Life;
  /** Whether the data holds what every answer of this engine holds; absent where that differs from role to role. */
  isComplete?(data: Answer['data']): boolean;
  /** The part of the data that differs only where the secret does. */
  comparable(data: object): object;
}

/** The engine that an answer is of. */
export type EngineOf = (answer: Answer) => Engine;

/**
 * What engines want to know at each issue, as the `common_name` of a certificate.
 *
 * @publicApi
 */
export type IssueParameters = Readonly<Record<string, unknown>>;
