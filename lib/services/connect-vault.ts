import {
  DEFAULT_CONNECTION,
  invalidOptions,
  readOptions,
  resolveOptions,
} from '../config/resolved-options.js';
import type { VaultOptions } from '../config/options.js';
import { openConnection } from '../connection/open-connection.js';
import { warnWithoutListener } from '../connection/signal-check.js';
import { VaultConnection } from '../connection/vault-connection.js';
import { VaultConnections } from '../connection/vault-connections.js';
import { unknownOptions } from '../errors/unknown-options.js';
import { logEvents } from '../events/log-events.js';
import type { VaultLogger } from '../events/logger.js';
import type { VaultClient } from '../session/vault-client.js';
import { CredentialsService } from './credentials.service.js';
import { KvService } from './kv.service.js';

/**
 * Options of {@link connectVault} and {@link withVault}.
 *
 * @publicApi
 */
export interface ConnectOptions extends VaultOptions {
  /** Name of the connection in log lines and events. @default 'default' */
  name?: string;
  /** Receives the log lines; `false` logs nothing. @default warnings and errors go to standard error */
  logger?: VaultLogger | false;
}

/**
 * A connection without Nest, as {@link connectVault} returns it. Its services are those that Nest injects; their option
 * `connection` is not needed.
 *
 * @publicApi
 */
export interface Vault extends AsyncDisposable {
  readonly credentials: CredentialsService;
  readonly kv: KvService;
  readonly client: VaultClient;
  /**
   * Ends all that this connection made: streams complete, pools end, the token is revoked, and the database users with
   * it. It takes at most `shutdown.timeout` and never rejects. `await using` calls it.
   */
  close(): Promise<void>;
}

/** Where warnings and errors go without a logger. Reads `console` at each call, as tests replace its methods. */
const STANDARD_ERROR: VaultLogger = {
  error: ({ message }) => console.error(message),
  warn: ({ message }) => console.warn(message),
};

/**
 * Connects to Vault or OpenBao without Nest, for scripts and jobs, and logs in. Call it once for each connection.
 *
 * A connection that is still open when the process ends is ended then: after the last work, after `process.exit()` or
 * an uncaught exception, within `shutdown.exitTimeout`. A signal ends it only if the application has a listener that
 * calls `close()` or `process.exit()`. With `endAtExit`, SIGTERM, SIGINT and SIGHUP need no listener: for files that a
 * command line tool loads, and in which nothing can call `close()`.
 *
 * @example
 * const vault = await connectVault({ address, auth: appRole({ roleId, secretId: fromEnv('VAULT_SECRET_ID') }) });
 * const pool = await createRotatingPgPool(vault.credentials.database('orders'), { host, database });
 * // … and at the end, which also ends the pool:
 * await vault.close();
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` (every problem listed), or the error of the login. Nothing is left open then.
 * With `startup.login: 'deferred'` the first use logs in.
 * @publicApi
 */
export async function connectVault(
  options: ConnectOptions,
  extras: { endAtExit?: boolean } = {},
): Promise<Vault> {
  return (await openVault(options, extras)).vault;
}

/** {@link connectVault}, with the connection itself: for work that cannot follow a rotation. */
export async function openVault(
  options: ConnectOptions,
  extras: { endAtExit?: boolean },
): Promise<{ vault: Vault; connection: VaultConnection }> {
  const given = readOptions(DEFAULT_CONNECTION, () => ({ ...options }));
  const { name = DEFAULT_CONNECTION, logger = STANDARD_ERROR, ...rest } = given;
  const problems = [
    ...unknownOptions('connectVault', extras, ['endAtExit']),
    ...problemsOf(logger, extras.endAtExit),
  ];
  const resolved = resolveOptions(rest as VaultOptions, name);
  if (problems.length > 0) throw invalidOptions(name, problems);
  const connections = new VaultConnections([{ name, own: true }], name);
  if (logger) logEvents(connections.bus.events$, logger);
  const connection = await openConnection(
    connections,
    name,
    () => new VaultConnection(resolved, connections.bus),
    (one) => one.login(),
  );
  if (extras.endAtExit !== true) leaveSignals(connection, connections, logger);
  const close = () => connections.close();
  const vault = {
    credentials: new CredentialsService(connections),
    kv: new KvService(connections),
    client: connection.client,
    close,
    [Symbol.asyncDispose]: close,
  };
  return { vault, connection };
}

/**
 * Connects, does `work`, and ends all that the connection made: also if `work` throws, and if the process ends
 * meanwhile. Returns the result of `work`.
 *
 * @example
 * await withVault({ address, auth }, async (vault) => {
 *   const { data } = await vault.kv.read('reports/mail');
 * });
 *
 * @throws VaultError as {@link connectVault} does, and the error of `work`
 * @publicApi
 */
export async function withVault<T>(options: ConnectOptions, work: (vault: Vault) => Promise<T>): Promise<T> {
  const vault = await connectVault(options, { endAtExit: true });
  try {
    return await work(vault);
  } finally {
    await vault.close();
  }
}

/** After the start the application decides about signals, as with the module. */
function leaveSignals(
  connection: VaultConnection,
  connections: VaultConnections,
  logger: VaultLogger | false,
): void {
  connections.started();
  if (!logger || connection.exitTimeout === 0) return;
  const remedy = 'Call `close()` in a listener, use `withVault`, or set `endAtExit`.';
  const complete = warnWithoutListener(logger, remedy, connection.name);
  connection.changes$.subscribe({ complete });
}

function problemsOf(logger: unknown, endAtExit: unknown): string[] {
  const problems = [];
  const { error, warn } = (logger ?? {}) as Partial<VaultLogger>;
  if (logger !== false && (typeof error !== 'function' || typeof warn !== 'function'))
    problems.push('`logger` must have the methods `error` and `warn`, or be false');
  if (endAtExit !== undefined && typeof endAtExit !== 'boolean')
    problems.push('`endAtExit` must be true or false');
  return problems;
}
