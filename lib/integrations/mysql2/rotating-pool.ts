import { AsyncResource } from 'node:async_hooks';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions, PoolConnection } from 'mysql2';
import type { Observable } from 'rxjs';
import { background } from '../../clock/background.js';
import { checkDriver } from '../driver/check-driver.js';
import { toLogins, type LoginCredentials } from '../rotation/login-credentials.js';
import { PoolEvents } from '../rotation/pool-events.js';
import type { PoolGeneration } from '../rotation/pool-generation.js';
import { DEFAULT_DRAIN, type PoolCounters, type RotationOptions } from '../rotation/rotation-driver.js';
import { REPLACEMENT_TIMEOUT, Rotation } from '../rotation/rotation.js';
import {
  hideLogin,
  LeasedConnection,
  openSocket,
  removePassword,
  setCredentials,
} from './leased-connection.js';
import {
  poolConfigOf,
  refuseCredentials,
  type PoolConfig,
  type RotatingMysqlPoolConfig,
} from './pool-config.js';
import { CorePool, isPooled, newestConnection } from './pool-internals.js';
import { promisePoolOf, type PromisePool } from './promise-pool.js';
import { isDatabaseDenied, isLoginRejected, rejectedError } from './rejection.js';
import { verifyLogin } from './verify-login.js';

/** Milliseconds; mysql2's own default of `connectTimeout`. */
const CONNECT_TIMEOUT = 10_000;

type ConnectionCallback = (error: NodeJS.ErrnoException | null, connection: PoolConnection) => unknown;
/** The signatures of mysql2, and of Knex for an external pool. */
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
export class RotatingMysqlPool extends CorePool {
  readonly #rotation: Rotation<LeasedConnection>;
  readonly #events = new PoolEvents('RotatingMysqlPool', (event) => this.emit('rotation', event));
  readonly #config: Omit<RotatingMysqlPoolConfig, keyof RotationOptions>;
  readonly #leased = new WeakMap<PoolConnection, LeasedConnection>();
  readonly #busy = new Set<LeasedConnection>();
  readonly #promised = new Map<PromiseConstructor | undefined, RotatingMysqlPromisePool>();
  /** The connection that mysql2 started to open in the current call. */
  #opening: LeasedConnection | undefined;
  #loggedIn = false;
  #finishing = false;
  #ended: Promise<void> | undefined;

  constructor(credentials$: Observable<LoginCredentials>, config: RotatingMysqlPoolConfig = {}) {
    checkDriver('mysql2');
    const { drain = DEFAULT_DRAIN, ...rest } = refuseCredentials(config);
    super({ config: poolConfigOf(rest) });
    this.#config = rest;
    // mysql2 calls it with the config of each new connection, and reads that config at the login.
    this.#shared.stream = (options: { config: ConnectionOptions }) => this.#openSocket(options.config);
    this.#rotation = new Rotation(
      toLogins(credentials$),
      {
        verify: (credentials, previous) => verifyLogin(rest as ConnectionOptions, credentials, !previous),
        isLoginRejected,
        onPublished: () => undefined,
        onSuperseded: (leased, closeAt) => (leased.busy ? leased.announceClose(closeAt) : leased.close()),
        end: (leased) => leased.abort(),
      },
      { drain, events: this.#events, onEnd: () => this.#finish(drain) },
    );
  }

  /** Number of events of each type. */
  get counters(): PoolCounters {
    return this.#events.counters;
  }

  /** Number of open connections of earlier credentials. */
  get supersededCount(): number {
    return this.#rotation.supersededCount;
  }

  /**
   * Resolves once the first credentials have logged in; if they do not, it rejects and ends the pool.
   *
   * @throws VaultError `VAULT_CREDENTIALS_REJECTED` if the database rejects them, `VAULT_CLOSED` if the stream
   * completed without any, and any error of the stream
   */
  async ready(): Promise<void> {
    try {
      const connection = await new Promise<PoolConnection>((resolve, reject) => {
        this.getConnection((error, one) => (error ? reject(error) : resolve(one)));
      });
      connection.release();
    } catch (error) {
      this.end();
      throw error;
    }
  }

  override getConnection(callback: ConnectionCallback): void {
    const fail = (error: Error) => void callback(error, undefined as unknown as PoolConnection);
    // Deferred, so that a caller that tries again at once does not block the event loop.
    if (this.#finishing) return void setImmediate(fail, this.#closedError);
    if (this.#rotation.current) return this.#open(callback);
    this.#waitForFirst().then(() => this.#open(callback), fail);
  }

  override releaseConnection(connection: PoolConnection): void {
    const leased = this.#leased.get(connection);
    const stale = this.#finishing || leased?.generation !== this.#rotation.current;
    // mysql2 would lend it to the next waiting caller. After it has left the pool, it is released once more, for them.
    if (leased && stale && isPooled(connection)) return leased.close();
    if (leased) this.#markIdle(leased);
    super.releaseConnection(connection);
  }

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

  override promise(promiseImpl?: PromiseConstructor): RotatingMysqlPromisePool {
    const known = this.#promised.get(promiseImpl);
    const promised = known ?? promisePoolOf(this, super.promise(promiseImpl));
    this.#promised.set(promiseImpl, promised);
    return promised;
  }

  /** The error for new requests after the end: that of the stream, if it has one. */
  get #closedError(): Error {
    return this.#rotation.failure ?? new Error('Pool is closed.');
  }

  /** The config of the pool. Before 3.23.3, all connections share it. */
  get #shared(): ConnectionOptions {
    return (this.config as unknown as PoolConfig).connectionConfig;
  }

  /** Waits for the first credentials, at most for `connectTimeout`. */
  async #waitForFirst(): Promise<void> {
    const { connectTimeout = CONNECT_TIMEOUT } = this.#config;
    let timer: NodeJS.Timeout | undefined;
    const timedOut = new Promise<never>((_, reject) => {
      if (connectTimeout <= 0) return;
      const error = new Error('There were no credentials to connect with in time.');
      timer = setTimeout(() => reject(error), connectTimeout);
    });
    await Promise.race([this.#rotation.ready(), timedOut]).finally(() => clearTimeout(timer));
  }

  #open(callback: ConnectionCallback): void {
    this.#opening = undefined;
    let opening: LeasedConnection | undefined;
    // A new connection calls back from its socket, which has the context of no request; bind() restores that of the
    // caller.
    const opened: ConnectionCallback = (error, connection) => {
      if (error) return this.#openFailed(error, opening?.generation, callback);
      if (opening) this.#adopt(connection, opening);
      const leased = this.#leased.get(connection);
      if (leased && leased.generation !== this.#rotation.current) {
        // New credentials came meanwhile.
        connection.release();
        return this.getConnection(callback);
      }
      const lend = () => {
        if (leased) this.#markBusy(leased);
        callback(null, connection);
      };
      const lendable = leased && this.#rotation.checkLendable(leased.generation);
      if (!lendable) return lend();
      // Its lease may have ended while the process was suspended.
      lendable.then(
        (valid) => {
          if (valid) return lend();
          connection.release();
          this.getConnection(callback);
        },
        (reason: Error) => {
          connection.release();
          callback(reason, undefined as unknown as PoolConnection);
        },
      );
    };
    super.getConnection(AsyncResource.bind(opened));
    opening = this.#opening;
    if (opening) hideLogin(newestConnection(this));
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
      this.#markIdle(leased);
      this.#rotation.connectionClosed(generation, leased);
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

  /** Handles a failed login: after a rejection, the caller waits for newer credentials. */
  #openFailed(
    error: Error,
    generation: PoolGeneration<LeasedConnection> | undefined,
    callback: ConnectionCallback,
  ): void {
    const fail = (reason: Error) => void callback(reason, undefined as unknown as PoolConnection);
    if (!generation || this.#finishing) return fail(this.#finishing ? this.#closedError : error);
    // New credentials came meanwhile.
    if (generation !== this.#rotation.current) return this.getConnection(callback);
    this.#rotation.loginFailed(generation, error);
    const rejected = isLoginRejected(error);
    if (!rejected && !isDatabaseDenied(error)) return fail(error);
    const replaced = rejected
      ? this.#rotation.waitForReplacement(generation, REPLACEMENT_TIMEOUT)
      : Promise.resolve(false);
    void replaced.then((isReplaced) => {
      if (isReplaced) return this.getConnection(callback);
      fail(this.#loggedIn ? error : rejectedError(error, generation.path));
    });
  }

  #markBusy(leased: LeasedConnection): void {
    leased.busy = true;
    this.#busy.add(leased);
  }

  #markIdle(leased: LeasedConnection): void {
    leased.busy = false;
    this.#busy.delete(leased);
    if (this.#finishing && this.#busy.size === 0) this.end();
  }

  /** Waits for connections in use, up to the drain window: end() of mysql2 would cut their transactions. */
  #finish(drain: number): void {
    this.#finishing = true;
    if (this.#busy.size === 0) return this.end();
    setTimeout(() => this.end(), drain).unref();
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
