import type { AuthMethod } from '../auth/auth-method.js';

/**
 * How the server is trusted, and how this client shows who it is. The server's certificate is always verified: no
 * option and no environment variable (`NODE_TLS_REJECT_UNAUTHORIZED`, `VAULT_SKIP_VERIFY`) switches that off.
 *
 * `ca`, `cert` and `key` are PEM, or the path of a PEM file. Files are read at the start, and again for each new
 * connection: what replaces them is used without a restart. While it cannot be used (half written, a key of another
 * certificate), the contents before stay in use, and a `warning` says why.
 *
 * @publicApi
 */
export interface TlsOptions {
  /**
   * Certificate authorities to trust instead of Node's own. Node trusts roots: an intermediate authority needs its root
   * beside it.
   */
  ca?: string | Buffer | readonly (string | Buffer)[];
  /** Client certificate, followed by its intermediates where it has any; needs `key`. */
  cert?: string | Buffer;
  /** Private key of the client certificate; needs `cert`. */
  key?: string | Buffer;
  /** Of the private key. */
  passphrase?: string;
  /** The name to expect in the server's certificate, where it is not the host of the address. */
  serverName?: string;
}

/**
 * How failed requests are spaced out. There is no count: the life of what is to be renewed bounds the tries.
 *
 * @publicApi
 */
export interface RetryOptions {
  /**
   * Milliseconds before the second try, less `jitter`; a fortieth of the time that is left, where that is more.
   * @default 500
   */
  initialDelay?: number;
  /**
   * Milliseconds that the doubling delay never exceeds. It reaches this only where much time is left: delays longer than
   * a sixth of the TTL, or than 30 s, are at most an eighth of what is left of a lease or token. @default 300000
   */
  maxDelay?: number;
  /** Share of each delay that is random, 0 to 1, so that many processes do not come back at once. @default 0.5 */
  jitter?: number;
}

/**
 * When leases and tokens are renewed.
 *
 * @publicApi
 */
export interface RenewalOptions {
  /** Share of the granted TTL after which a lease or token is renewed, 0.1 to 0.9. @default 0.66 */
  at?: number;
  /** Random share of the TTL by which each renewal comes earlier or later, 0 to 0.1. @default 0.05 */
  jitter?: number;
  /**
   * Milliseconds a superseded lease lives on for consumers that do not take a hold; then the server ends it, also
   * when this process is dead by then. @default 30000
   */
  grace?: number;
}

/**
 * How the application starts.
 *
 * @publicApi
 */
export interface StartupOptions {
  /**
   * `required`: start-up fails where the login or a secret that a decorator asks for fails. `deferred`: nothing is
   * asked of the server until something needs it: a provider with `@InjectSecret`, which Nest builds at the start, or
   * the first request. @default 'required'
   */
  login?: 'required' | 'deferred';
  /** Milliseconds for which failures that may pass (unreachable, sealed, no leader) are retried. @default 10000 */
  timeout?: number;
}

/**
 * How the application ends.
 *
 * @publicApi
 */
export interface ShutdownOptions {
  /** Milliseconds for consumers to let go of their credentials and for the revocation, together. @default 5000 */
  timeout?: number;
  /**
   * Revoke the token that this process logged in for, and so every lease it made. With `false` the token lives on, and
   * leases are ended one by one, as far as they can be renewed. @default true
   */
  revoke?: boolean;
  /**
   * Milliseconds that the end of the process may take for what no `close()` has ended: after a start that failed
   * elsewhere, after `process.exit()`, or where nothing keeps the process alive any more. 0: nothing is done then.
   * @default 3000
   */
  exitTimeout?: number;
}

/**
 * One connection: an address, a namespace and an auth method.
 *
 * @publicApi
 */
export interface VaultOptions {
  /** `https://vault.internal:8200`, or several, tried in turn; a path is kept as the prefix of the API. */
  address: string | readonly string[];
  /**
   * Allows `http://` to other machines. Secret_ids, tokens and secrets then travel in clear, and one warning says so.
   * Without it such an address is refused; loopback (`localhost`, `*.localhost`, 127.0.0.0/8, `::1`) never is.
   * @default false
   */
  allowHttp?: boolean;
  /** {@link appRole} or {@link token}. */
  auth: AuthMethod;
  /** Namespace of every request, as `team/app`; one slash at its start or end is dropped. */
  namespace?: string;
  /**
   * Sent with every request, logins among them, as a gateway in front of the server may want them. Names of headers that
   * belong to the connection (`host`, `x-vault-token`, `content-type`, …) are refused. Values are never printed.
   */
  headers?: Readonly<Record<string, string>>;
  tls?: TlsOptions;
  /** Milliseconds one request may take. @default 10000 */
  timeout?: number;
  retry?: RetryOptions;
  renewal?: RenewalOptions;
  startup?: StartupOptions;
  shutdown?: ShutdownOptions;
  /** Version of the KV mounts where a read does not say. @default 2 */
  kvVersion?: 1 | 2;
  /**
   * Requests at the same time that issue at one engine, or read one KV mount again; and, apart from these, as many that
   * renew or replace leases. One without which a lease would be lost is sent beyond that. The engine of a database keeps
   * four connections itself, unless told otherwise; more requests at a time take longer each. @default 8
   */
  concurrency?: number;
}

/**
 * What `useClass` and `useExisting` of `VaultModule.forRootAsync` must implement.
 *
 * @publicApi
 */
export interface VaultOptionsFactory {
  createVaultOptions(): VaultOptions | Promise<VaultOptions>;
}
