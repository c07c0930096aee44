import type { Duplex } from 'node:stream';
import type { ConnectionOptions, PoolConnection } from 'mysql2';
import type { Observable } from 'rxjs';
import { background } from '../../clock/background.js';
import { systemClock } from '../../clock/clock.js';
import { withTimeout } from '../../clock/with-timeout.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';
import { PoolFacade } from '../rotation/pool-facade.js';
import type { PoolGeneration } from '../rotation/pool-generation.js';
import { poolOptions } from '../rotation/pool-kind.js';
import { rotating, startWith } from '../rotation/rotating-pool.js';
import type { RotationOptions } from '../rotation/rotation-driver.js';
import {
  hideLogin,
  LeasedConnection,
  openSocket,
  removePassword,
  setCredentials,
} from './leased-connection.js';
import { poolConfigOf, type PoolConfig, type RotatingMysqlPoolConfig } from './pool-config.js';
import { CorePool, isPooled, newestConnection } from './pool-internals.js';
import { promisePoolOf, type PromisePool } from './promise-pool.js';
import { MYSQL2 } from './rejection.js';
import { verifyLogin } from './verify-login.js';

/** Milliseconds; mysql2's own default of `connectTimeout`. */
const CONNECT_TIMEOUT = 10_000;

/** @inline */
type ConnectionCallback = (error: NodeJS.ErrnoException | null, connection: PoolConnection) => unknown;
/** The signatures of mysql2, and of Knex for an external pool. @inline */
type EndCallback = ((error: NodeJS.ErrnoException | null) => unknown) | ((error?: Error) => unknown);
/**
 * The pool of `mysql2/promise` around a {@link RotatingMysqlPool}, which is its `pool`. It emits `'rotation'`, too,
 * and its connections emit `'superseded'`.
 *
 * @publicApi
 */
export type RotatingMysqlPromisePool = PromisePool<RotatingMysqlPool>;

/**
 * A pool of mysql2 whose new connections log in with the current credentials. New credentials are verified with a
 * connection of their own before the pool uses them. Connections of earlier ones are closed: idle ones at once, busy
 * ones when they are released, at the latest after the drain window. Until then the earlier lease is held.
 *
 * Emits `'rotation'` with a {@link PoolEvent}. A connection that is checked out when new credentials come emits
 * `'superseded'` with the `Date` at which it will be closed, so that a long-lived one (a long result, a lock) can be
 * replaced in time. If a login fails, or the database denies a statement (1044, 1142, 1143, 1227), the credentials are
 * verified, and replaced if they are rejected or their lease has ended. When the stream completes, the pool waits for
 * connections in use, then it ends itself.
 *
 * This is the pool with callbacks, for libraries that take or create one; {@link createRotatingMysqlPool} returns the
 * pool with promises, after the first login.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` for a config that names `user`, `password` or a `uri`;
 * `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export class RotatingMysqlPool extends rotating(CorePool) {
  readonly #pool: PoolFacade<LeasedConnection>;
  readonly #config: Omit<RotatingMysqlPoolConfig, keyof RotationOptions>;
  readonly #leased = new WeakMap<PoolConnection, LeasedConnection>();
  readonly #promised = new Map<PromiseConstructor | undefined, RotatingMysqlPromisePool>();
  /** The connection that mysql2 started to open in the current call. */
  #opening: LeasedConnection | undefined;
  #loggedIn = false;
  #finishing = false;
  #ended: Promise<void> | undefined;

  constructor(credentials$: Observable<LoginCredentials>, config: RotatingMysqlPoolConfig = {}) {
    const { drain, rest } = poolOptions(MYSQL2, typeof config === 'string' ? { uri: config } : config);
    super({ config: poolConfigOf(rest) });
    this.#config = rest;
    // mysql2 calls it with the config of each new connection, and reads that config at the login.
    this.#shared.stream = (options: { config: ConnectionOptions }) => this.#openSocket(options.config);
    this.#pool = new PoolFacade<LeasedConnection>(credentials$, MYSQL2, {
      drain,
      verify: (credentials, previous) => verifyLogin(rest as ConnectionOptions, credentials, !previous),
      onSuperseded: (leased, closeAt) => (leased.busy ? leased.announceClose(closeAt) : leased.close()),
      usesOf: ({ busy }) => (busy ? 1 : 0),
      end: (leased) => leased.abort(),
      onEvent: (event) => this.emit('rotation', event),
      onStreamEnd: () => {
        // end() of mysql2 would cut the transactions of connections in use.
        this.#finishing = true;
        void this.#pool.untilIdle().then(() => this.end());
      },
    });
    const login = async () => this.releaseConnection(await this.#connect());
    startWith(this, this.#pool, { login, end: () => this.end() });
  }

  /** Lends a connection of the current credentials. */
  override getConnection(callback: ConnectionCallback): void {
    const fail = (error: Error) => void callback(error, undefined as unknown as PoolConnection);
    // Deferred, so that a caller that tries again at once does not block the event loop.
    if (this.#finishing) return void setImmediate(fail, this.#closedError);
    this.#connect().then((connection) => callback(null, connection), fail);
  }

  /** Takes a connection back, and closes it if its credentials are superseded. */
  override releaseConnection(connection: PoolConnection): void {
    const leased = this.#leased.get(connection);
    const stale = this.#finishing || leased?.generation !== this.#rotation.current;
    // mysql2 would lend it to the next waiting caller. After it has left the pool, it is released once more, for them.
    if (leased && stale && isPooled(connection)) return leased.close();
    if (leased) this.#setBusy(leased, false);
    super.releaseConnection(connection);
  }

  /** Ends the pool and its rotation; may be called twice. */
  override end(callback?: EndCallback): void {
    this.#finishing = true;
    // The end of the stream and the application may both end it.
    this.#ended ??= new Promise((resolve, reject) => {
      this.#rotation.end();
      super.end((error) => (error ? reject(error) : resolve()));
    });
    const done = callback as ((error: Error | null) => unknown) | undefined;
    this.#ended.then(
      () => done?.(null),
      (error: Error) => done?.(error),
    );
  }

  /** The pool of `mysql2/promise` around this one. */
  override promise(promiseImpl?: PromiseConstructor): RotatingMysqlPromisePool {
    const known = this.#promised.get(promiseImpl);
    const promised = known ?? promisePoolOf(this, super.promise(promiseImpl));
    this.#promised.set(promiseImpl, promised);
    return promised;
  }

  get #rotation() {
    return this.#pool.rotation;
  }

  /** The error for new requests after the end: that of the stream, if it has one. */
  get #closedError(): Error {
    return this.#rotation.failure ?? new Error('Pool is closed.');
  }

  /** The config of the pool. Before 3.23.3, all connections share it. */
  get #shared(): ConnectionOptions {
    return (this.config as unknown as PoolConfig).connectionConfig;
  }

  /** Opens or takes a connection. After a rejected login, waits for newer credentials. */
  async #connect(): Promise<PoolConnection> {
    if (!this.#rotation.current) await this.#firstCredentials();
    try {
      return await this.#pool.connect(() => this.#lend());
    } catch (error) {
      if (this.#finishing) throw this.#closedError;
      throw this.#loggedIn ? error : this.#pool.firstLoginError(error);
    }
  }

  /** Waits for the first credentials, at most for `connectTimeout`. */
  async #firstCredentials(): Promise<void> {
    const { connectTimeout = CONNECT_TIMEOUT } = this.#config;
    const late = () => new Error('There were no credentials to connect with in time.');
    const ready = this.#rotation.ready();
    // A time-out of mysql2, which runs in real time.
    await (connectTimeout > 0 ? withTimeout(ready, connectTimeout, systemClock, late) : ready);
  }

  async #lend(): Promise<PoolConnection> {
    for (;;) {
      if (this.#finishing) throw this.#closedError;
      const connection = await this.#take();
      const leased = this.#leased.get(connection);
      try {
        // New credentials may have come meanwhile; or its lease ended while the process was suspended.
        const isCurrent = !leased || leased.generation === this.#rotation.current;
        const lendable = isCurrent && leased && this.#rotation.checkLendable(leased.generation);
        if (isCurrent && (!lendable || (await lendable))) return connection;
      } catch (error) {
        connection.release();
        throw error;
      }
      connection.release();
    }
  }

  /** Opens a connection, or takes an idle one. */
  #take(): Promise<PoolConnection> {
    return new Promise((resolve, reject) => {
      this.#opening = undefined;
      let opening: LeasedConnection | undefined;
      super.getConnection((error, connection) => {
        if (error) {
          if (opening) this.#rotation.loginFailed(opening.generation, error);
          return reject(error);
        }
        if (opening) this.#adopt(connection, opening);
        const leased = this.#leased.get(connection);
        if (leased) this.#setBusy(leased, true);
        resolve(connection);
      });
      opening = this.#opening;
      if (opening) hideLogin(newestConnection(this));
    });
  }

  #openSocket(config: ConnectionOptions): Duplex {
    const generation = this.#rotation.current as PoolGeneration<LeasedConnection>;
    setCredentials(config, generation.credentials);
    const { stream } = this.#config as { stream?: unknown };
    // The socket outlives the request that opens it.
    const socket = background(() =>
      typeof stream === 'function' ? stream({ config }) : (stream ?? openSocket(config)),
    ) as Duplex;
    const leased = new LeasedConnection(generation, socket);
    // Recorded before it connects, so that the lease is held during the login.
    this.#rotation.connectionOpened(generation, leased);
    socket.once('close', () => {
      this.#rotation.connectionClosed(generation, leased);
      this.#setBusy(leased, false);
    });
    this.#opening = leased;
    return socket;
  }

  #adopt(connection: PoolConnection, leased: LeasedConnection): void {
    this.#loggedIn = true;
    this.#leased.set(connection, leased);
    leased.adopt(connection, () => this.#rotation.verifyCurrent(leased.generation));
    if (connection.config !== this.#shared) removePassword(connection, leased.generation.credentials);
  }

  #setBusy(leased: LeasedConnection, busy: boolean): void {
    leased.busy = busy;
    if (!busy) this.#pool.useEnded();
  }
}

/**
 * Creates a {@link RotatingMysqlPool}, waits until it is {@link RotatingMysqlPool.ready}, and returns its pool of
 * `mysql2/promise`.
 *
 * @throws VaultError as its constructor and `ready()` do
 * @publicApi
 */
export async function createRotatingMysqlPool(
  credentials$: Observable<LoginCredentials>,
  config: RotatingMysqlPoolConfig = {},
): Promise<RotatingMysqlPromisePool> {
  const pool = new RotatingMysqlPool(credentials$, config);
  await pool.ready();
  return pool.promise();
}
