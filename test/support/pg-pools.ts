import type { ClientBase } from 'pg';
import { ReplaySubject } from 'rxjs';
import type { DatabaseCredentials } from 'nestjs-vault';
import {
  createRotatingPgPool,
  type PoolEvent,
  type RotatingPgPool,
  type RotatingPgPoolConfig,
} from 'nestjs-vault/pg';
import { issued, rotateTo, type Issued } from './issued.js';
import { startPostgres, type PostgresServer } from './servers.mjs';

/** Pools of pg on a PostgreSQL, with credentials that a test issues by hand. */
export class PgPools {
  readonly postgres: PostgresServer;
  readonly #pools: RotatingPgPool[] = [];
  #serial = 0;

  private constructor(postgres: PostgresServer) {
    this.postgres = postgres;
  }

  static async start(): Promise<PgPools> {
    return new PgPools(await startPostgres());
  }

  stop(): Promise<void> {
    return this.postgres.stop();
  }

  /** Ends the pools of one test. */
  async end(): Promise<void> {
    const open = this.#pools.splice(0).filter(({ ending }) => !ending);
    await Promise.all(open.map((pool) => pool.end()));
  }

  /** Adds a pool that is ended with the others. */
  add(pool: RotatingPgPool): RotatingPgPool {
    this.#pools.push(pool);
    return pool;
  }

  get where(): { host: string; port: number; database: string } {
    const { host, port, database } = this.postgres;
    return { host, port, database };
  }

  /**
   * A new user, or another password of the previous user, as of a static role.
   *
   * @param create whether the user is made now
   */
  async issue({ create = true, of: before }: { create?: boolean; of?: Issued } = {}): Promise<Issued> {
    const serial = ++this.#serial;
    const user = before?.user ?? `leased_${serial}`;
    const password = `canary-${user}-${serial}`;
    if (before) await this.postgres.query(`alter role ${user} password '${password}'`);
    else if (create) await this.create(user, password);
    return issued({ serial, user, password, renewable: !before });
  }

  /** Makes a user in the database. */
  async create(user: string, password: string): Promise<void> {
    await this.postgres.query(`create role ${user} login password '${password}'`);
  }

  /** A pool with its first credentials, and its events. */
  async open(options: RotatingPgPoolConfig = {}) {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = await this.issue();
    credentials$.next(first.credentials);
    const pool = await createRotatingPgPool(credentials$, { ...this.where, ...options });
    this.add(pool);
    const events: PoolEvent[] = [];
    pool.on('rotation', (event) => events.push(event));
    const rotate = (next: Issued) => rotateTo(next, credentials$, events);
    return { pool, credentials$, first, events, rotate };
  }

  /** How many connections a user has. */
  async connections(user: string): Promise<number | null> {
    return (await this.postgres.query('select 1 from pg_stat_activity where usename = $1', [user])).rowCount;
  }
}

/** The user that a pool or a connection is logged in as. */
export async function whoami(on: { query(sql: string): Promise<{ rows: unknown[] }> }): Promise<string> {
  return ((await on.query('select current_user as name')).rows[0] as { name: string }).name;
}

/** Resolves with the 'end' of a connection, also if 'error' comes before it. */
export function ended(client: ClientBase): Promise<void> {
  return new Promise((resolve) => client.once('end', resolve));
}
