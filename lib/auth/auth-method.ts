import type { ApiAuth, ApiRequest, ApiResponse } from '../client/api.types.js';
import type { Clock } from '../clock/clock.js';
import type { Deadline } from '../clock/deadline.js';
import type { Secret } from '../secret/secret.js';

/** The context of a login. */
export interface LoginContext {
  send<T>(request: ApiRequest, token?: Secret): Promise<ApiResponse<T>>;
  /** Emits a `warning` event; identical messages once. */
  warn(message: string): void;
  /** Sets the source that is being read; undefined after its answer. */
  reading(source: string | undefined): void;
  clock: Clock;
}

/** The data of a token in the answer to a login, or to the look-up of a given token. */
export interface Login {
  token: Secret;
  accessor: string;
  /** Seconds; 0 means a token that never expires. */
  ttl: number;
  renewable: boolean;
  /** Number of requests that the token allows; 0 means no limit. */
  uses: number;
  type: string;
  /** The time from which the TTL counts. */
  sentAt: Deadline;
  /** Whether this process made the token, and so revokes it. */
  own: boolean;
  /** The namespace of the token, if it differs from the connection's. */
  namespace?: string;
}

/**
 * A way to log in; made by {@link appRole} or {@link token}.
 *
 * @publicApi
 */
export interface AuthMethod {
  /** Named in events and errors. */
  readonly kind: string;
  /** The problems of the method's own options. @internal */
  readonly problems: readonly string[];
  /** @internal */
  login(context: LoginContext): Promise<Login>;
  /** Changes when another login would return another token; for tokens that another process renews. @internal */
  version?(): Promise<string>;
}

/** Reads a login from the `auth` member of an answer. */
export function fromAuth(auth: ApiAuth, sentAt: Deadline, tokenOf: (text: string) => Secret): Login {
  return {
    token: tokenOf(auth.client_token),
    accessor: auth.accessor,
    ttl: auth.lease_duration,
    renewable: auth.renewable,
    uses: auth.num_uses ?? 0,
    type: auth.token_type ?? 'service',
    sentAt,
    own: true,
  };
}
