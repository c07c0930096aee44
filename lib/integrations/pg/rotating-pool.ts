import pg, { type ClientConfig, type PoolClient, type PoolConfig } from 'pg';
import type { Observable } from 'rxjs';
import { systemClock } from '../../clock/clock.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';
import type { PoolFacade } from '../rotation/pool-facade.js';
import { poolOptions } from '../rotation/pool-kind.js';
import { rotating, startWith } from '../rotation/rotating-pool.js';
import type { PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
import { createClientPool } from './client-rotation.js';
import { ConnectionReplacer } from './connection-replacer.js';
import { CONNECTION_TIMEOUT, withConnectionTimeout } from './connection-timeout.js';
import { LeasedClient } from './leased-client.js';
import { PG } from './rejection.js';

/**
 * The options of `pg.Pool`, without credentials.
 *
 * @publicApi
 */
export type RotatingPgPoolConfig = Omit<PoolConfig, 'user' | 'password' | 'connectionString'> &
  RotationOptions;

declare module 'pg' {
  interface Pool {
    /** Emitted by a {@link RotatingPgPool}. */
    on(event: 'rotation', listener: (event: PoolEvent) => void): this;
  }
}

/** @inline */
type ConnectCallback = (
  error: Error | undefined,
  client: PoolClient | undefined,
  done: (release?: unknown) => void,
) => void;

/**
 * A `pg.Pool` whose new connections log in with the current credentials. New credentials are verified with a
 * connection of their own before the pool uses them. Connections of earlier ones are replaced, one at a time: an idle
 * one is closed when its replacement is open (before that, if `max` has no room), a busy one when it is released, at the
 * latest after the drain window. Until then the earlier lease is held.
 *
 * Emits `'rotation'` with a {@link PoolEvent}. A connection that is checked out when new credentials come emits
 * `'superseded'` with the `Date` at which it will be closed, so that a long-lived one (LISTEN, a long cursor) can be
 * replaced in time. If a login fails, a session ends by itself, or PostgreSQL answers as for a dropped user (42501,
 * 42704), the credentials are verified, and replaced if they are rejected or their lease has ended. The pool ends
 * itself when the stream completes.
 *
 * {@link createRotatingPgPool} also waits for the first login; this class is for libraries that create their pool
 * themselves.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` for a config that names `user`, `password` or a `connectionString` (it
 * would override them at each connection); `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export class RotatingPgPool extends rotating(pg.Pool) {
  readonly #pool: PoolFacade<LeasedClient>;
  readonly #config: PoolConfig;
  readonly #lent = new Set<LeasedClient>();
  #ended: Promise<void> | undefined;

  constructor(credentials$: Observable<LoginCredentials>, config: RotatingPgPoolConfig = {}) {
    const { drain, rest } = poolOptions(PG, config);
    const { connectionTimeoutMillis = CONNECTION_TIMEOUT } = rest;
    const poolConfig = { ...rest, connectionTimeoutMillis };
    class Client extends LeasedClient {
      constructor(options?: ClientConfig) {
        super(options, pool.rotation);
      }
    }
    super({ ...poolConfig, Client } as unknown as PoolConfig);
    this.#config = poolConfig;
    const end = () => {
      if (!this.ending) void this.end();
    };
    const replacer = new ConnectionReplacer(this, drain, () => pool.clock);
    const pool = createClientPool(credentials$, poolConfig, {
      drain,
      onPublished: (userMayBeDropped) => replacer.start(userMayBeDropped),
      onSuperseded: (client, closeAt) => void (closeAt && client.emit('superseded', closeAt)),
      isInUse: (client) => this.#lent.has(client),
      reclaim: (client) => this.#reclaim(client),
      onEvent: (event) => this.emit('rotation', event),
      onStreamEnd: end,
    });
    this.#pool = pool;
    startWith(this, pool, { login: () => this.#connectFirst(), end });
    this.on('acquire', (client) => {
      const leased = client as unknown as LeasedClient;
      this.#lent.add(leased);
      // An idle connection of earlier credentials was lent before it was replaced. Announced after its first query, as
      // the caller cannot listen earlier.
      const announce = () => this.#lent.has(leased) && leased.emit('superseded', leased.closeAt);
      if (leased.closeAt) leased.once('drain', announce);
    });
    // The pool does not keep a connection that ends itself in this event.
    this.on('release', (_error, client) => {
      const leased = client as unknown as LeasedClient;
      this.#lent.delete(leased);
      if (!leased.superseded) return;
      void leased.end().catch(() => undefined);
      replacer.connectionClosed();
    });
    // Kysely up to 0.29.6 never releases the connection of a transaction whose rollback fails.
    this.on('connect', (client) =>
      client.once('end', () => this.#reclaim(client as unknown as LeasedClient)),
    );
    // Idle connections that break are replaced by the pool; without a listener they would end the process.
    this.on('error', () => undefined);
  }

  /** Lends a connection of the current credentials. */
  override connect(): Promise<PoolClient>;
  /** Lends a connection of the current credentials. */
  override connect(callback: ConnectCallback): void;
  override connect(callback?: ConnectCallback): Promise<PoolClient> | void {
    const client = this.#pool.connect(() => this.#lend());
    if (!callback) return client;
    client.then(
      (one) => callback(undefined, one, (release) => one.release(release as Error)),
      (error: Error) => callback(error, undefined, () => undefined),
    );
  }

  /** Ends the pool and its rotation; may be called twice. */
  override end(): Promise<void>;
  /** Ends the pool and its rotation; may be called twice. */
  override end(callback: () => void): void;
  override end(callback?: () => void): Promise<void> | void {
    this.#pool.rotation.end();
    // The end of the stream and the application may both end it.
    this.#ended ??= super.end();
    if (!callback) return this.#ended;
    void this.#ended.then(callback);
  }

  async #connectFirst(): Promise<void> {
    let late = false;
    // The time-out of pg, which runs in real time.
    const cancel = systemClock.setTimer(
      this.#config.connectionTimeoutMillis || CONNECTION_TIMEOUT,
      () => (late = true),
    );
    try {
      // Without a timeout this would wait forever if no credentials come.
      const client = await withConnectionTimeout(this, () => this.connect());
      client.release();
    } catch (error) {
      throw (late && this.#pool.rotation.failure) || error;
    } finally {
      cancel();
    }
  }

  /**
   * Checks a connection before it is lent: pg.Pool notices late that an idle connection ended, and never that a lease
   * did.
   */
  async #lend(): Promise<PoolClient> {
    for (;;) {
      const { failure } = this.#pool.rotation;
      if (this.ending && failure) throw failure;
      const client = await super.connect();
      const leased = client as unknown as LeasedClient;
      try {
        const lendable = leased.checkLendable();
        if (!leased.ended && (!lendable || (await lendable))) return client;
      } catch (error) {
        client.release(true);
        throw error;
      }
      client.release(true);
    }
  }

  /** Releases a closed connection: its user may never do so, and pg.Pool would count it forever. */
  #reclaim(client: LeasedClient): void {
    if (!this.#lent.has(client)) return;
    const pooled = client as unknown as PoolClient;
    pooled.release(true);
    // A later release() of the user does nothing.
    pooled.release = () => undefined;
  }
}

/**
 * Creates a {@link RotatingPgPool} and waits until it is {@link RotatingPgPool.ready}.
 *
 * @throws VaultError as its constructor and `ready()` do
 * @publicApi
 */
export async function createRotatingPgPool(
  credentials$: Observable<LoginCredentials>,
  config: RotatingPgPoolConfig = {},
): Promise<RotatingPgPool> {
  const pool = new RotatingPgPool(credentials$, config);
  await pool.ready();
  return pool;
}
