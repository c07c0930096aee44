import { AsyncResource } from 'node:async_hooks';
import type { Duplex } from 'node:stream';
import mysql, { type ConnectionOptions, type Pool, type PoolConnection } from 'mysql2';
import type { Observable } from 'rxjs';
import { background } from '../../clock/background.js';
import type { DatabaseCredentials } from '../../services/credentials.service.js';
import { checkDriver } from '../driver/check-driver.js';
import type { Era } from '../rotation/era.js';
import { logins, type LoginCredentials } from '../rotation/login-credentials.js';
import { DRAIN, type PoolCounters, type RotationOptions } from '../rotation/rotation-driver.js';
import { Reports } from '../rotation/reports.js';
import { REPLACEMENT, Rotation } from '../rotation/rotation.js';
import { dial, forget, hideLogin, identify, LeasedConnection } from './leased-connection.js';
import { poolConfigOf, withoutCredentials, type PoolConfig, type RotatingPoolConfig } from './pool-config.js';
import { promisePoolOf, type RotatingPromisePool } from './promise-pool.js';
import { deniesDatabase, refuses, rejected } from './refusal.js';

/** Milliseconds; mysql2's own default of `connectTimeout`. */
const CONNECT_TIMEOUT = 10_000;

/** As mysql2 has its connections, which its types leave out. */
interface Queue {
  readonly length: number;
  get(index: number): PoolConnection | undefined;
}

type ConnectionCallback = (error: NodeJS.ErrnoException | null, connection: PoolConnection) => unknown;
/** As mysql2 has it, and as Knex wants it of an external pool. */
type EndCallback = ((error: NodeJS.ErrnoException | null) => unknown) | ((error?: Error) => unknown);
/** mysql2's types leave out that it is a class. */
const CorePool = (mysql as unknown as { Pool: new (options: { config: PoolConfig }) => Pool }).Pool;

/**
 * A pool of mysql2 whose new connections log in with the current credentials. New credentials are proved with a
 * connection of their own before the pool uses them. Connections of earlier ones are closed: idle ones at once, busy
 * ones when they are released, at the latest after the drain window; until then the earlier lease is held.
 *
 * Emits `'rotation'` with a {@link PoolEvent}. A connection that is checked out when new credentials come emits
 * `'superseded'` with the `Date` at which it will be closed, so that one that is kept (a long result, a lock) can be
 * replaced in time. Where a login fails, or the database denies a user something (1044, 1142, 1143, 1227), the
 * credentials are checked, and replaced if they are refused or their lease is over. When the stream completes, connections in use are waited
 * for, then the pool ends itself.
 *
 * This is the pool with callbacks, for libraries that take or make one; {@link createRotatingPool} gives that with
 * promises, after the first login.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` for a config that names `user`, `password` or a `uri`; `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export class RotatingPool extends CorePool {
  readonly #rotation: Rotation<LeasedConnection>;
  readonly #reports = new Reports('RotatingPool', (event) => this.emit('rotation', event));
  readonly #config: Omit<RotatingPoolConfig, keyof RotationOptions>;
  readonly #leased = new WeakMap<PoolConnection, LeasedConnection>();
  readonly #busy = new Set<LeasedConnection>();
  readonly #promised = new Map<PromiseConstructor | undefined, RotatingPromisePool>();
  /** The connection that mysql2 began to make just now. */
  #dialled: LeasedConnection | undefined;
  #loggedIn = false;
  #finishing = false;
  #ended: Promise<void> | undefined;

  constructor(credentials$: Observable<LoginCredentials>, config: RotatingPoolConfig = {}) {
    checkDriver('mysql2');
    const { drain = DRAIN, ...rest } = withoutCredentials(config);
    super({ config: poolConfigOf(rest) });
    this.#config = rest;
    // mysql2 calls it with the config of each connection that it makes, which is read when it logs in.
    this.#shared.stream = (options: { config: ConnectionOptions }) => this.#dial(options.config);
    this.#rotation = new Rotation(
      logins(credentials$),
      {
        prove: (credentials, previous) => this.#prove(credentials, previous),
        refuses,
        published: () => undefined,
        superseded: (leased, until) => (leased.busy ? leased.tell(until) : leased.leave()),
        end: (leased) => leased.abort(),
      },
      { drain, reports: this.#reports, onEnd: () => this.#finish(drain) },
    );
  }

  /** How often each event came. */
  get counters(): PoolCounters {
    return this.#reports.counters;
  }

  /** Connections of earlier credentials that are still open. */
  get supersededCount(): number {
    return this.#rotation.superseded;
  }

  /**
   * Resolves once the first credentials have logged in; where they do not, it rejects and ends the pool.
   *
   * @throws VaultError `VAULT_CREDENTIALS_REJECTED` where the database refuses them, `VAULT_CLOSED` where there were
   * none, and whatever the stream errors with
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
    // Not in this tick, so that whoever tries again at once leaves time for others.
    if (this.#finishing) return void setImmediate(fail, this.#gone);
    if (this.#rotation.current) return this.#open(callback);
    this.#first().then(() => this.#open(callback), fail);
  }

  override releaseConnection(connection: PoolConnection): void {
    const leased = this.#leased.get(connection);
    const stale = this.#finishing || leased?.era !== this.#rotation.current;
    // mysql2 would hand it to whoever waits. Once it has left the pool, it comes here again, for those who wait.
    if (leased && stale && isPooled(connection)) return leased.leave();
    if (leased) this.#idle(leased);
    super.releaseConnection(connection);
  }

  override end(callback?: EndCallback): void {
    this.#finishing = true;
    // Both the end of the stream and whoever made the pool may end it.
    this.#ended ??= new Promise((resolve, reject) => {
      this.#rotation.end();
      super.end((error) => (error ? reject(error) : resolve()));
    });
    const told = callback as ((error: Error | null) => unknown) | undefined;
    this.#ended.then(
      () => told?.(null),
      (error: Error) => told?.(error),
    );
  }

  override promise(promiseImpl?: PromiseConstructor): RotatingPromisePool {
    const known = this.#promised.get(promiseImpl);
    const promised = known ?? promisePoolOf(this, super.promise(promiseImpl));
    this.#promised.set(promiseImpl, promised);
    return promised;
  }

  /** Why nothing new is begun: the stream's own error, where it has one. */
  get #gone(): Error {
    return this.#rotation.failure ?? new Error('Pool is closed.');
  }

  /** Before 3.23.3, all connections share it. */
  get #shared(): ConnectionOptions {
    return (this.config as unknown as PoolConfig).connectionConfig;
  }

  /** Waits for the first credentials, as long as for a connection. */
  async #first(): Promise<void> {
    const { connectTimeout = CONNECT_TIMEOUT } = this.#config;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      if (connectTimeout <= 0) return;
      const error = new Error('There were no credentials to connect with in time.');
      timer = setTimeout(() => reject(error), connectTimeout);
    });
    await Promise.race([this.#rotation.ready(), late]).finally(() => clearTimeout(timer));
  }

  #open(callback: ConnectionCallback): void {
    this.#dialled = undefined;
    let dialled: LeasedConnection | undefined;
    // A new connection calls back from its socket, which is of no request.
    const opened: ConnectionCallback = (error, connection) => {
      if (error) return this.#failed(error, dialled?.era, callback);
      if (dialled) this.#adopt(connection, dialled);
      const leased = this.#leased.get(connection);
      if (leased && leased.era !== this.#rotation.current) {
        // New credentials came meanwhile.
        connection.release();
        return this.getConnection(callback);
      }
      const lend = () => {
        if (leased) this.#use(leased);
        callback(null, connection);
      };
      const lendable = leased && this.#rotation.lendable(leased.era);
      if (!lendable) return lend();
      // Its lease may have ended while the process stood still.
      lendable.then(
        (good) => {
          if (good) return lend();
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
    dialled = this.#dialled;
    if (dialled) hideLogin(this.#newest);
  }

  /** The connection that mysql2 has begun to make last. */
  get #newest(): PoolConnection | undefined {
    const { _allConnections: all } = this as unknown as { _allConnections: Queue };
    return all.get(all.length - 1);
  }

  #dial(config: ConnectionOptions): Duplex {
    const era = this.#rotation.current as Era<LeasedConnection>;
    identify(config, era.credentials);
    const { stream } = this.#config as { stream?: unknown };
    // It outlives the request that may be the first to need it.
    const socket = background(() =>
      typeof stream === 'function' ? stream({ config }) : (stream ?? dial(config)),
    ) as Duplex;
    const leased = new LeasedConnection(era, socket);
    // From now on, so that a connection being made is under the hold, too.
    this.#rotation.opened(era, leased);
    socket.once('close', () => {
      this.#idle(leased);
      this.#rotation.closed(era, leased);
    });
    this.#dialled = leased;
    return socket;
  }

  #adopt(connection: PoolConnection, leased: LeasedConnection): void {
    this.#loggedIn = true;
    this.#leased.set(connection, leased);
    leased.adopt(connection, () => this.#rotation.doubt(leased.era));
    if (connection.config !== this.#shared) forget(connection, leased.era.credentials);
  }

  /** Where the credentials turn out to be over, whoever wants a connection waits for the next ones. */
  #failed(error: Error, era: Era<LeasedConnection> | undefined, callback: ConnectionCallback): void {
    const fail = (reason: Error) => void callback(reason, undefined as unknown as PoolConnection);
    if (!era || this.#finishing) return fail(this.#finishing ? this.#gone : error);
    // New credentials came meanwhile.
    if (era !== this.#rotation.current) return this.getConnection(callback);
    this.#rotation.loginFailed(era, error);
    const refused = refuses(error);
    if (!refused && !deniesDatabase(error)) return fail(error);
    const others = refused ? this.#rotation.replaced(era, REPLACEMENT) : Promise.resolve(false);
    void others.then((there) => {
      if (there) return this.getConnection(callback);
      fail(this.#loggedIn ? error : rejected(error, era.path));
    });
  }

  async #prove(credentials: DatabaseCredentials, previous?: DatabaseCredentials): Promise<void> {
    const user = credentials.username.reveal();
    const password = credentials.password.reveal();
    const connection = mysql.createConnection({ ...this.#config, user, password });
    // It may break once its work is done, which is nobody's concern.
    connection.on('error', () => undefined);
    try {
      await new Promise<void>((resolve, reject) => {
        connection.connect((error) => (error ? reject(error) : resolve()));
      });
      connection.end();
    } catch (error) {
      connection.destroy();
      // Credentials in use that are let in are no concern of the database; whether the lease lives is asked.
      if (previous || !deniesDatabase(error)) throw error;
    }
  }

  #use(leased: LeasedConnection): void {
    leased.busy = true;
    this.#busy.add(leased);
  }

  #idle(leased: LeasedConnection): void {
    leased.busy = false;
    this.#busy.delete(leased);
    if (this.#finishing && this.#busy.size === 0) this.end();
  }

  /** mysql2's own end() cuts transactions short; so connections in use are waited for, as long as at a rotation. */
  #finish(drain: number): void {
    this.#finishing = true;
    if (this.#busy.size === 0) return this.end();
    setTimeout(() => this.end(), drain).unref();
  }
}

/** mysql2 has not taken it out of the pool yet. */
function isPooled(connection: PoolConnection): boolean {
  return Boolean((connection as unknown as { _pool?: unknown })._pool);
}

/**
 * The pool of `mysql2/promise` around a {@link RotatingPool} that is {@link RotatingPool.ready}.
 *
 * @throws VaultError as its constructor and `ready()` do
 * @publicApi
 */
export async function createRotatingPool(
  credentials$: Observable<LoginCredentials>,
  config: RotatingPoolConfig = {},
): Promise<RotatingPromisePool> {
  const pool = new RotatingPool(credentials$, config);
  await pool.ready();
  return pool.promise();
}
