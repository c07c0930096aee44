import type { TlsOptions } from '../client/tls-options.js';
import type { EngineOptions } from '../engines/engine-options.js';
import type { Secret } from '../secret/secret.js';
import type { AuthMethod } from '../auth/auth-method.js';

/**
 * Delays between attempts after failures. There is no maximum number: the TTL of the token or lease bounds the
 * attempts.
 *
 * @publicApi
 */
export interface RetryOptions {
  /**
   * Milliseconds before the second attempt, less `jitter`; a fortieth of the time left, if that is more.
   * @default 500
   */
  initialDelay?: number;
  /**
   * Maximum of the doubling delay, in milliseconds. Delays longer than a sixth of the TTL, or than 30 s, are also at
   * most an eighth of the time left of a lease or token. @default 300000
   */
  maxDelay?: number;
  /** Random share of each delay, 0 to 1, so that many processes do not retry at once. @default 0.5 */
  jitter?: number;
}

/**
 * Times of the renewals of leases and tokens.
 *
 * @publicApi
 */
export interface RenewalOptions {
  /** Share of the granted TTL after which a lease or token is renewed, 0.1 to 0.9. @default 0.66 */
  at?: number;
  /** Random share of the TTL by which each renewal comes earlier or later, 0 to 0.1. @default 0.05 */
  jitter?: number;
  /**
   * Milliseconds for which a superseded lease stays valid for consumers without a hold; then the server ends it, even
   * if this process has ended by then. @default 30000
   */
  grace?: number;
  /**
   * Milliseconds, from 2000: a lease that its role grants for longer is shortened to this TTL, right after its issue and
   * at each renewal. If the process is killed, its users then end after this time. A lease survives an outage of the
   * server of only 29 % of it. Tokens keep their TTL. @default the TTL of the role
   */
  ttl?: number;
}

/**
 * Options of the start.
 *
 * @publicApi
 */
export interface StartupOptions {
  /**
   * `required`: the start fails if the login fails, or the read of a secret that a decorator injects. `deferred`: no request
   * is sent before the first use: a provider with `@InjectSecret`, which Nest builds at the start, or the first call.
   * @default 'required'
   */
  login?: 'required' | 'deferred';
  /** Milliseconds for which transient failures (unreachable, sealed, no leader) are retried. @default 10000 */
  timeout?: number;
}

/**
 * Options of the shutdown.
 *
 * @publicApi
 */
export interface ShutdownOptions {
  /** Milliseconds for consumers to release their credentials, plus the revocation. @default 5000 */
  timeout?: number;
  /**
   * Revoke the token of this process's login, and so every lease it made. With `false` the token stays valid, and
   * leases are ended one by one, if they can be renewed. @default true
   */
  revoke?: boolean;
  /**
   * Time limit at the exit of the process, in milliseconds, to end credentials that no `close()` has ended: after a
   * start that failed elsewhere, after `process.exit()`, or when the event loop is empty. 0: they are not ended then.
   * @default 3000
   */
  exitTimeout?: number;
}

/**
 * One connection: an address, a namespace and an auth method.
 *
 * @publicApi
 */
export interface VaultOptions extends EngineOptions {
  /**
   * `https://vault.internal:8200`, or `unix:///run/openbao/agent.sock` for a Unix socket (not on Windows); or several,
   * tried in turn. A path of an https address is kept as the prefix of the API.
   */
  address: string | readonly string[];
  /**
   * Allows `http://` to other machines. Secret_ids, tokens and secrets then travel in clear, with one warning. Without
   * it such an address is refused, except loopback (`localhost`, `*.localhost`, 127.0.0.0/8, `::1`).
   * @default false
   */
  allowHttp?: boolean;
  /** The way to log in. */
  auth: AuthMethod;
  /** Namespace of every request, as `team/app`; one slash at its start or end is dropped. */
  namespace?: string;
  /**
   * Headers of every request, logins included, for example for a gateway in front of the server. Names that belong to
   * the connection (`host`, `x-vault-token`, `content-type`, …) are refused. Values are never printed.
   */
  headers?: Readonly<Record<string, string>>;
  tls?: TlsOptions;
  /**
   * HTTP proxy on the way to the server: its URL, as `http://proxy.internal:3128` (with user name and password as a
   * {@link Secret}, which is not printed), or `env` for `HTTPS_PROXY` (`HTTP_PROXY` for an http address) without the hosts in
   * `NO_PROXY`. Addresses on this machine are reached directly. Without this option these variables are not read.
   */
  proxy?: 'env' | (string & {}) | Secret;
  /** Timeout of one request, in milliseconds. @default 10000 */
  timeout?: number;
  retry?: RetryOptions;
  renewal?: RenewalOptions;
  startup?: StartupOptions;
  shutdown?: ShutdownOptions;
  /**
   * Concurrent requests that issue at one engine, or poll one mount of static secrets; and the same number, separately, that renew or
   * replace leases. A request without which a lease would be lost is sent beyond that limit. The database engine itself
   * has four connections by default; more concurrent requests take longer each. @default 8
   */
  concurrency?: number;
}

/**
 * The interface of `useClass` and `useExisting` of `VaultModule.forRootAsync`.
 *
 * @publicApi
 */
export interface VaultOptionsFactory {
  /** Returns the options of the connection, once at start. */
  createVaultOptions(): VaultOptions | Promise<VaultOptions>;
}
