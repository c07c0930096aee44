import type { Explain } from '../client/failed-response.js';
import type { Secret } from '../secret/secret.js';
import type { SecretInput, SecretSource } from '../secret/secret-source.js';

/**
 * A way to log in: {@link appRole}, {@link token}, or one of your own. The module calls `login` at the start, ahead of
 * the max TTL of a token, and when a token was lost; it renews and revokes the token by itself.
 *
 * @example
 * const jwtLogin = (role: string, jwt: SecretSource): AuthMethod => ({
 *   name: 'jwt',
 *   login: async (context) =>
 *     context.logIn('auth/jwt/login', { role, jwt: await context.read(jwt, { name: 'jwt' }) }),
 * });
 * @publicApi
 */
export interface AuthMethod {
  /** Named in errors. */
  readonly name: string;
  /**
   * Logs in once. Calls do not overlap, unless one goes on after its time limit, at which `context.signal` is aborted. A `VaultError` is reported as it is; of any other error only the class is shown.
   * A token that comes after the time limit is revoked, if it is `own`.
   */
  login(context: LoginContext): Promise<Login>;
  /**
   * Time limit of a login and of each of its requests, and of a renewal, in milliseconds: for a method that waits for a
   * person. The start waits as long for it. @default four times the `timeout` of the connection, one `timeout` for each request
   */
  readonly timeout?: number | undefined;
  /** Whether it needs the client certificate of the connection: the start fails without `tls.cert`. @default false */
  readonly clientCertificate?: boolean;
  /** Problems of its options, each a sentence without secrets. They fail the start with `VAULT_CONFIG_INVALID`. */
  readonly problems?: readonly string[];
  /**
   * Changes when another login would return another token, for tokens that another process replaces; '' if unknown.
   * Asked before each login, with the context of that login, and every ten seconds. For a login that makes a token, it
   * changes when that token cannot be renewed any more; such a change is looked for before each renewal, too.
   */
  version?(context: VersionContext): Promise<string>;
  /**
   * Reports the first input of a login that is not there, as a phrase without secrets (`file /run/jwt does not exist`);
   * `undefined` if all are there, or where only the login itself can find out. `firstAvailable` asks it, before the
   * login and with the same context. A method without it counts as available.
   *
   * @throws VaultError `VAULT_LOGIN_PROVIDER_UNAVAILABLE` if the input may come later: a provider does not answer
   */
  missing?(context: LoginContext): Promise<string | undefined>;
  /**
   * The method that logs in instead of this one, chosen at each login of a connection until one has succeeded. Its
   * `timeout` and `version` count then. @internal
   */
  choose?(context: LoginContext): Promise<AuthMethod>;
}

/**
 * What {@link AuthMethod.version} can use: the look-up of a token, and the client certificate of the connection.
 *
 * @publicApi
 */
export type VersionContext = Pick<LoginContext, 'lookUp' | 'clientCertificate'>;

/**
 * What a login can use: it reads secret inputs and sends the login request.
 *
 * @publicApi
 */
export interface LoginContext {
  /**
   * Reads a secret input. While it is awaited, errors and logs name the source instead of the server.
   *
   * @throws VaultError `VAULT_SOURCE_UNREADABLE`, and those of {@link fromWrappedToken}
   */
  readonly read: (source: SecretSource, input?: SecretInput) => Promise<Secret>;
  /**
   * Sends a login request, past caches, and returns its token as one of this process (`own`). Warnings of the server are
   * reported. A request that the server refused with status 400 is not sent again unchanged for a minute, because
   * servers lock users out after repeated failures; the error is thrown again instead.
   *
   * @param path API path below `/v1/`, not encoded: `auth/jwt/login`
   * @param body sent as JSON; a member that is a `Secret` is sent with its value
   * @throws VaultError `VAULT_LOGIN_DENIED` (403), `VAULT_LOGIN_MFA_REQUIRED`, `VAULT_RESPONSE_INVALID` (no token), and
   * any other code of a request
   */
  readonly logIn: (
    path: string,
    body: Readonly<Record<string, unknown>>,
    options?: LogInOptions,
  ) => Promise<Login>;
  /**
   * Looks a token up that another process made. The result is not `own`: it is renewed, and never revoked.
   *
   * @param token `undefined` for the token that an agent between the application and the server attaches
   * @throws VaultError `VAULT_TOKEN_INVALID`
   */
  readonly lookUp: (token: Secret | undefined, options?: Pick<LogInOptions, 'namespace'>) => Promise<Login>;
  /**
   * Reads the client certificate of the connection (`tls.cert`) again. Requests from then on present it, over new sockets
   * if it has changed.
   *
   * @returns a text that changes with it; '' if there is none
   */
  readonly clientCertificate: () => Promise<string>;
  /** Emits a `warning` event; identical messages once. */
  readonly warn: (message: string) => void;
  /** Emits a `notice` event, for what an operator may want to know; identical messages once. */
  readonly notice: (message: string) => void;
  /** The time in milliseconds since 1970, by the clock of the connection. */
  readonly now: () => number;
  /** Aborted after the time limit of the login, for requests of your own to other services. */
  readonly signal: AbortSignal;
}

/**
 * Options of {@link LoginContext.logIn}.
 *
 * @publicApi
 */
export interface LogInOptions {
  /** Namespace of the auth method. @default the namespace of the connection */
  namespace?: string;
  /** Changes with inputs that are not in the body: after a change, a login that was refused is sent again at once. */
  version?: string;
  /** Source of the TOTP code for a login enforcement of the server, read again at each login. */
  totp?: SecretSource;
  /** Explains refusals of this method by the server's words; `undefined` for others. */
  explain?: Explain;
}

/**
 * The token of a login. {@link LoginContext.logIn} and {@link LoginContext.lookUp} return it complete; a method that gets
 * its token elsewhere needs `token`, `ttl` and `own`.
 *
 * @publicApi
 */
export interface Login {
  /** Absent if an agent between the application and the server attaches its own token to each request. */
  readonly token?: Secret;
  /** Seconds for which the token is valid, counted from the request; 0 for a token that never expires. */
  readonly ttl: number;
  /** Whether this process made the token, and so revokes it at the end. */
  readonly own: boolean;
  /** @default false */
  readonly renewable?: boolean;
  readonly accessor?: string;
  /**
   * Differs between two tokens, for logins without `token`. {@link LoginContext.lookUp} sets it.
   * @default `accessor`
   */
  readonly identity?: string;
  /** Number of requests that the token allows; 0 for no limit. @default 0 */
  readonly uses?: number;
  /** A `batch` token can be neither renewed nor revoked. @default 'service' */
  readonly type?: string;
  /** The namespace of the token, if it differs from the connection's. */
  readonly namespace?: string;
}
