import type { DatabaseCredentials } from 'nestjs-vault';
import {
  createRotatingMysqlPool,
  type PoolEvent,
  type RotatingMysqlPool,
  type RotatingMysqlPoolConfig,
} from 'nestjs-vault/mysql2';
import { ReplaySubject } from 'rxjs';
import { Authority, opensslAvailable } from './certificates.js';
import { issued, rotateTo, type Issued } from './issued.js';
import { startMariaDb, type MariaDbServer } from './mariadb.mjs';

/** Pools of mysql2 on a MariaDB, with credentials that a test issues by hand. */
export class Mysql2Pools {
  readonly mariadb: MariaDbServer;
  /** The authority of the server's certificate, if one can be made. */
  readonly authority: Authority | undefined;
  readonly #pools: RotatingMysqlPool[] = [];
  #serial = 0;

  private constructor(mariadb: MariaDbServer, authority: Authority | undefined) {
    this.mariadb = mariadb;
    this.authority = authority;
  }

  static async start(): Promise<Mysql2Pools> {
    const authority = opensslAvailable ? new Authority() : undefined;
    const tls = authority?.issue('mariadb', 'DNS:localhost');
    const mariadb = await startMariaDb({ ...(tls && { tls }) });
    await mariadb.query('create table things (id int); create table private (id int)');
    return new Mysql2Pools(mariadb, authority);
  }

  async stop(): Promise<void> {
    this.authority?.remove();
    await this.mariadb.stop();
  }

  /** Ends the pools of one test. */
  async end(): Promise<void> {
    await Promise.all(this.#pools.splice(0).map((pool) => new Promise((resolve) => pool.end(resolve))));
  }

  get where(): { host: string; port: number; database: string } {
    const { host, port, database } = this.mariadb;
    return { host, port, database };
  }

  /** Adds a pool that is ended with the others. */
  add(pool: RotatingMysqlPool): RotatingMysqlPool {
    this.#pools.push(pool);
    return pool;
  }

  /** Makes a user in the database. */
  async create(user: string, grant = 'grant select, insert on orders.*'): Promise<void> {
    await this.mariadb.query(
      `create user ${user}@'%' identified by 'canary-${user}'; ${grant} to ${user}@'%'`,
    );
  }

  /** @param made whether the user exists already, and if so, whether it has a grant on one table only */
  async issue(made: 'now' | 'never' | 'table' = 'now'): Promise<Issued> {
    const serial = ++this.#serial;
    const user = `leased_${serial}`;
    if (made !== 'never')
      await this.create(user, made === 'table' ? 'grant select on orders.things' : undefined);
    return issued({ serial, user, password: `canary-${user}` });
  }

  /** A pool with its first credentials, and its events. */
  async open(options: RotatingMysqlPoolConfig = {}, made: 'now' | 'table' = 'now') {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = await this.issue(made);
    credentials$.next(first.credentials);
    const pool = await createRotatingMysqlPool(credentials$, { ...this.where, ...options });
    this.add(pool.pool);
    const events: PoolEvent[] = [];
    pool.on('rotation', (event) => events.push(event));
    const types = () => events.map(({ type }) => type);
    const rotate = (next: Issued) => rotateTo(next, credentials$, events);
    return { pool, credentials$, first, events, types, rotate };
  }

  /** How many connections a user has. */
  async connections(user: string): Promise<number> {
    const sql = 'select 1 from information_schema.processlist where user = ?';
    return (await this.mariadb.query(sql, [user])).length;
  }
}

/** The user that a pool or a connection is logged in as. */
export async function whoami(on: { query(sql: string): Promise<unknown> }): Promise<string | undefined> {
  const [rows] = (await on.query(`select substring_index(user(), '@', 1) as name`)) as [{ name: string }[]];
  return rows[0]?.name;
}
