import pg, { type ClientConfig, type PoolClient, type PoolConfig } from 'pg';
import type { Observable } from 'rxjs';
import { VaultError } from '../../errors/vault-error.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';
import { Reports } from '../rotation/reports.js';
import type { Rotation } from '../rotation/rotation.js';
import {
  DRAIN,
  type PoolCounters,
  type PoolEvent,
  type RotationOptions,
} from '../rotation/rotation-driver.js';
import { CONNECTION_TIMEOUT, inBoundedTime } from './connection-timeout.js';
import { connectAgain, leaseClients } from './lease-clients.js';
import { LeasedClient } from './leased-client.js';
import { refuses } from './refusal.js';
import { Replacements } from './replacements.js';
import { withoutCredentials } from './without-credentials.js';

/**
 * What `pg.Pool` takes, but for the credentials.
 *
 * @publicApi
 */
export type RotatingPoolConfig = Omit<PoolConfig, 'user' | 'password' | 'connectionString'> & RotationOptions;

declare module 'pg' {
  interface Pool {
    /** Of a {@link RotatingPool}. */
    on(event: 'rotation', listener: (event: PoolEvent) => void): this;
  }
}

/** What pg calls credentials. */
const CREDENTIALS = { user: 'user', password: 'password', connectionString: 'connectionString' };

type ConnectCallback = (
  error: Error | undefined,
  client: PoolClient | undefined,
  done: (release?: unknown) => void,
) => void;

/**
 * A `pg.Pool` whose new connections log in with the current credentials. New credentials are proved with a
 * connection of their own before the pool uses them. Connections of earlier ones are replaced, one at a time: idle ones
 * are closed when others are there (before that, where `max` has no room), busy ones when they are released, at the
 * latest after the drain window; until then the earlier lease is held.
 *
 * Emits `'rotation'` with a {@link PoolEvent}. A connection that is checked out when new credentials come emits
 * `'superseded'` with the `Date` at which it will be closed, so that one that is kept (LISTEN, a long cursor) can be
 * replaced in time. Where a login fails, a session ends by itself, or PostgreSQL forgets the privileges of a user (42501,
 * 42704), the credentials are checked, and replaced if they are refused or their lease is over. Ends itself when the stream completes.
 *
 * {@link createRotatingPool} is the same and waits for the first login; this one is for libraries that make their
 * pool by themselves.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` for a config that names `user`, `password` or a `connectionString` (it
 * would override them at each connection); `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export class RotatingPool extends pg.Pool {
  readonly #rotation: Rotation<LeasedClient>;
  readonly #reports = new Reports('RotatingPool', (event) => this.emit('rotation', event));
  readonly #config: PoolConfig;
  readonly #lent = new Set<LeasedClient>();
  #ended: Promise<void> | undefined;

  constructor(credentials$: Observable<LoginCredentials>, config: RotatingPoolConfig = {}) {
    const { drain = DRAIN, ...rest } = withoutCredentials(config, CREDENTIALS);
    const { connectionTimeoutMillis = CONNECTION_TIMEOUT } = rest;
    const poolConfig = { ...rest, connectionTimeoutMillis };
    class Client extends LeasedClient {
      constructor(options?: ClientConfig) {
        super(options, rotation);
      }
    }
    super({ ...poolConfig, Client } as unknown as PoolConfig);
    this.#config = poolConfig;
    const replacements = new Replacements(this, drain);
    const rotation = leaseClients(credentials$, poolConfig, {
      drain,
      published: (doubtful) => replacements.begin(doubtful),
      superseded: (client, until) => void (until && client.emit('superseded', until)),
      inUse: (client) => this.#lent.has(client),
      takeBack: (client) => this.#takeBack(client),
      reports: this.#reports,
      onEnd: () => {
        if (!this.ending) void this.end();
      },
    });
    this.#rotation = rotation;
    this.on('acquire', (client) => {
      const leased = client as unknown as LeasedClient;
      this.#lent.add(leased);
      // It was idle, and is lent before it could be replaced: who keeps it is told, after what they do first.
      const tell = () => this.#lent.has(leased) && leased.emit('superseded', leased.until);
      if (leased.until) leased.once('drain', tell);
    });
    // A connection that ends itself in this event is not taken back by the pool.
    this.on('release', (_error, client) => {
      const leased = client as unknown as LeasedClient;
      this.#lent.delete(leased);
      if (!leased.superseded) return;
      void leased.end().catch(() => undefined);
      replacements.left();
    });
    // Idle connections that break are replaced by the pool; without a listener they would end the process.
    this.on('error', () => undefined);
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
   * @throws VaultError `VAULT_CREDENTIALS_REJECTED` where PostgreSQL refuses them, `VAULT_CLOSED` where the stream has
   * completed before there were any, or before PostgreSQL answered in time, and whatever the stream errors with
   */
  async ready(): Promise<void> {
    let late = false;
    const timer = setTimeout(() => (late = true), this.#config.connectionTimeoutMillis || CONNECTION_TIMEOUT);
    try {
      // Without an end to it, who waits for the first one would never learn that there will be none.
      const client = await inBoundedTime(this, () => this.connect());
      client.release();
    } catch (error) {
      const { current, failure } = this.#rotation;
      if (!this.ending) void this.end();
      if (refuses(error)) throw rejected(error as { code: string }, current?.path);
      throw (late && failure) || error;
    } finally {
      clearTimeout(timer);
    }
  }

  override connect(): Promise<PoolClient>;
  override connect(callback: ConnectCallback): void;
  override connect(callback?: ConnectCallback): Promise<PoolClient> | void {
    const client = connectAgain(this.#rotation, () => this.#take());
    if (!callback) return client;
    client.then(
      (one) => callback(undefined, one, (release) => one.release(release as Error)),
      (error: Error) => callback(error, undefined, () => undefined),
    );
  }

  override end(): Promise<void>;
  override end(callback: () => void): void;
  override end(callback?: () => void): Promise<void> | void {
    this.#rotation.end();
    // Both the end of the stream and whoever made the pool may end it.
    this.#ended ??= super.end();
    if (!callback) return this.#ended;
    void this.#ended.then(callback);
  }

  /** The pool learns last of an idle connection that was ended, and never that the lease of one has. */
  async #take(): Promise<PoolClient> {
    for (;;) {
      const { failure } = this.#rotation;
      if (this.ending && failure) throw failure;
      const client = await super.connect();
      const leased = client as unknown as LeasedClient;
      try {
        const { lendable } = leased;
        if (!leased.ended && (!lendable || (await lendable))) return client;
      } catch (error) {
        client.release(true);
        throw error;
      }
      client.release(true);
    }
  }

  /** Its user may never give it back, and pg's pool would count it for ever. */
  #takeBack(client: LeasedClient): void {
    if (!this.#lent.has(client)) return;
    const pooled = client as unknown as PoolClient;
    pooled.release(true);
    // The user's own comes to nothing.
    pooled.release = () => undefined;
  }
}

/**
 * A {@link RotatingPool} that is {@link RotatingPool.ready}.
 *
 * @throws VaultError as its constructor and `ready()` do
 * @publicApi
 */
export async function createRotatingPool(
  credentials$: Observable<LoginCredentials>,
  config: RotatingPoolConfig = {},
): Promise<RotatingPool> {
  const pool = new RotatingPool(credentials$, config);
  await pool.ready();
  return pool;
}

function rejected({ code }: { code: string }, path = 'unknown path'): VaultError {
  return new VaultError({
    code: 'VAULT_CREDENTIALS_REJECTED',
    message: `PostgreSQL refuses the credentials issued at ${path} (SQLSTATE ${code}).`,
    hint:
      'The lease may be over, or the server issues users for another database: compare host and port here with the ' +
      'connection_url of the engine, and the creation_statements of the role (LOGIN, PASSWORD); check pg_hba.conf.',
    path,
  });
}
