import type { ApiAuth, ApiRequest, ApiResponse } from '../client/api-client.js';
import type { Clock } from '../clock/clock.js';
import type { Deadline } from '../clock/deadline.js';
import type { Secret } from '../secret/secret.js';

/** What a login gets to work with. */
export interface LoginContext {
  send<T>(request: ApiRequest, token?: Secret): Promise<ApiResponse<T>>;
  /** Tells what is no error; the same text once. */
  warn(message: string): void;
  /** Which source of a secret is read now; nothing when it has answered. */
  reading(source: string | undefined): void;
  clock: Clock;
}

/** A token as a login (or the look-up of a given token) describes it. */
export interface Login {
  token: Secret;
  accessor: string;
  /** Seconds; 0 is a token that never expires. */
  ttl: number;
  renewable: boolean;
  /** Requests the token may make; 0 is any number. */
  uses: number;
  type: string;
  /** What the TTL counts from. */
  sentAt: Deadline;
  /** Whether this process made the token, and so ends it. */
  own: boolean;
  /** Where it was made, if not in the connection's own namespace. */
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
  /** What is wrong with the options of the method itself. @internal */
  readonly problems: readonly string[];
  /** @internal */
  login(context: LoginContext): Promise<Login>;
  /** Differs when another login would yield another token; for tokens that something else renews. @internal */
  version?(): Promise<string>;
}

/** Reads a login out of the `auth` of an answer. */
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
