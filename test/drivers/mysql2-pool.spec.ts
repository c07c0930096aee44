import { once } from 'node:events';
import { inspect } from 'node:util';
import { drizzle } from 'drizzle-orm/mysql2';
import { Kysely, MysqlDialect, sql } from 'kysely';
import type { PoolConnection } from 'mysql2';
import { ReplaySubject, Subject } from 'rxjs';
import { Secret, type DatabaseCredentials, type HoldNeed } from 'nestjs-vault';
import {
  createRotatingPool,
  RotatingPool,
  type PoolEvent,
  type RotatingPoolConfig,
} from 'nestjs-vault/mysql2';
import { afterAll, afterEach, beforeAll, expect, it, onTestFinished } from 'vitest';
import { Authority, opensslAvailable } from '../support/certificates.js';
import { expectNoLeak } from '../support/leaks.js';
import { startMariaDb, type MariaDbServer } from '../support/mariadb.mjs';
import { describeMariaDb } from '../support/real-mariadb.js';
import { startTcpProxy } from '../support/servers.mjs';

/** A snapshot made by hand, and what the pool did with its lease. */
interface Issued {
  credentials: DatabaseCredentials;
  user: string;
  holds: number;
  need: HoldNeed | undefined;
  refused: boolean[];
}

describeMariaDb('rotating pool of mysql2', () => {
  let authority: Authority | undefined;
  let mariadb: MariaDbServer;
  let serial = 0;
  const pools: RotatingPool[] = [];

  beforeAll(async () => {
    authority = opensslAvailable ? new Authority() : undefined;
    const tls = authority?.issue('mariadb', 'DNS:localhost');
    mariadb = await startMariaDb({ ...(tls && { tls }) });
    await mariadb.query('create table things (id int); create table private (id int)');
  });

  afterAll(async () => {
    authority?.remove();
    await mariadb?.stop();
  });

  afterEach(() => Promise.all(pools.splice(0).map((pool) => new Promise((resolve) => pool.end(resolve)))));

  const create = (user: string, grant = 'grant select, insert on orders.*') =>
    mariadb.query(`create user ${user}@'%' identified by 'canary-${user}'; ${grant} to ${user}@'%'`);
  const issue = async (made: 'now' | 'never' | 'table' = 'now'): Promise<Issued> => {
    const user = `leased_${++serial}`;
    if (made !== 'never') await create(user, made === 'table' ? 'grant select on orders.things' : undefined);
    const issued: Issued = {
      user,
      holds: 0,
      need: undefined,
      refused: [],
      credentials: {
        username: new Secret(user),
        password: new Secret(`canary-${user}`),
        lease: {
          path: 'database/creds/app',
          serial,
          generation: 1,
          issuedAt: new Date(),
          validUntil: new Date(Date.now() + 60_000),
          renewable: true,
          hold: (need) => {
            issued.holds++;
            issued.need = need;
            return () => void issued.holds--;
          },
          refused: async (certain) => void issued.refused.push(certain),
        },
      },
    };
    return issued;
  };
  const where = () => ({ host: mariadb.host, port: mariadb.port, database: mariadb.database });
  const open = async (options: RotatingPoolConfig = {}, made: 'now' | 'table' = 'now') => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = await issue(made);
    credentials$.next(first.credentials);
    const pool = await createRotatingPool(credentials$, { ...where(), ...options });
    pools.push(pool.pool);
    const events: PoolEvent[] = [];
    pool.on('rotation', (event) => events.push(event));
    const types = () => events.map(({ type }) => type);
    const rotate = async (next: Issued) => {
      credentials$.next(next.credentials);
      await expect
        .poll(() =>
          events.some(({ type, serial: of }) => type === 'rotated' && of === next.credentials.lease.serial),
        )
        .toBe(true);
    };
    return { pool, credentials$, first, events, types, rotate };
  };
  const whoami = async (on: { query(sql: string): Promise<unknown> }) => {
    const [rows] = (await on.query(`select substring_index(user(), '@', 1) as name`)) as [{ name: string }[]];
    return rows[0]?.name;
  };
  const failure = (work: Promise<unknown>) =>
    work.then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error,
    );
  const connections = async (user: string) =>
    (await mariadb.query('select 1 from information_schema.processlist where user = ?', [user])).length;

  it('uses new credentials only once they have logged in; until then the ones before', async () => {
    const { pool, first, types, credentials$ } = await open();
    const late = await issue('never');
    credentials$.next(late.credentials);
    expect(await whoami(pool)).toBe(first.user);
    // A replica learns of a user a moment later than the primary.
    await create(late.user);
    await expect.poll(() => whoami(pool)).toBe(late.user);
    expect(types()).toEqual(['rotated']);
    expect(first.holds).toBe(0);
    expect(late).toMatchObject({ holds: 1, refused: [] });
  });

  it('reports credentials that the database refuses, and stays with the ones before', async () => {
    const { pool, first, types, credentials$ } = await open();
    const wrong = await issue('never');
    credentials$.next(wrong.credentials);
    await expect.poll(types, { timeout: 5_000 }).toEqual(['refused']);
    expect(wrong).toMatchObject({ holds: 0, refused: [true] });
    expect(await whoami(pool)).toBe(first.user);
    expect(first).toMatchObject({ holds: 1, refused: [] });
  });

  it('waits out a database that is away, and never asks for other credentials because of it', async () => {
    const { pool, types, credentials$ } = await open();
    const next = await issue();
    await mariadb.kill();
    credentials$.next(next.credentials);
    await expect.poll(types, { timeout: 5_000 }).toEqual(['proof-failed']);
    await mariadb.restart();
    await expect.poll(types, { timeout: 5_000 }).toContain('rotated');
    expect(await whoami(pool)).toBe(next.user);
    expect(next.refused).toEqual([]);
  });

  it('closes idle connections of earlier credentials at once, all of them, and in good order', async () => {
    const aborted = async () =>
      Number((await mariadb.query<{ Value: string }>(`show global status like 'Aborted_clients'`))[0]?.Value);
    const before = await aborted();
    const { pool, first, rotate } = await open({ connectionLimit: 4 });
    const all = await Promise.all([1, 2, 3, 4].map(() => pool.getConnection()));
    for (const connection of all) connection.release();
    expect(await connections(first.user)).toBe(4);
    await rotate(await issue());
    await expect.poll(() => connections(first.user)).toBe(0);
    await expect.poll(() => first.holds).toBe(0);
    expect(await aborted()).toBe(before);
  });

  it('lets a transaction finish, tells its connection, and holds the lease until then', async () => {
    const { pool, first, rotate, types } = await open();
    const connection = await pool.getConnection();
    await connection.beginTransaction();
    const told = once(connection, 'superseded') as Promise<[Date]>;
    const before = Date.now();
    await rotate(await issue());
    const [until] = await told;
    expect(until.getTime() - before).toBeGreaterThanOrEqual(30_000);
    expect(await whoami(connection)).toBe(first.user);
    expect({ holds: first.holds, superseded: pool.supersededCount }).toEqual({ holds: 1, superseded: 1 });
    await connection.commit();
    connection.release();
    await expect.poll(() => connections(first.user)).toBe(0);
    await expect.poll(() => first.holds).toBe(0);
    expect(pool.supersededCount).toBe(0);
    expect(types()).toEqual(['rotated']);
  });

  it('a connection that is handed on without ever being idle is not handed on past a rotation', async () => {
    const { pool, first, rotate } = await open({ connectionLimit: 1 });
    const connection = await pool.getConnection();
    const next = await issue();
    await rotate(next);
    // mysql2 gives it to whoever waits, without an event.
    const waiting = [whoami(pool), whoami(pool)];
    connection.release();
    expect(await Promise.all(waiting)).toEqual([next.user, next.user]);
    await expect.poll(() => first.holds).toBe(0);
  });

  it('nobody gets a connection that was begun with the credentials before', async () => {
    const proxy = await startTcpProxy(mariadb.port);
    onTestFinished(() => proxy.close());
    const { pool, first, rotate } = await open({ port: proxy.port });
    const one = await pool.getConnection();
    proxy.delay(400);
    const asking = whoami(pool);
    await new Promise((resolve) => setTimeout(resolve, 100));
    proxy.delay(0);
    const next = await issue();
    await rotate(next);
    expect(pool.supersededCount).toBe(2);
    expect(await asking).toBe(next.user);
    one.release();
    await expect.poll(() => first.holds).toBe(0);
  });

  it('nor does it fail where that one is closed, as the lease ends', async () => {
    const proxy = await startTcpProxy(mariadb.port);
    onTestFinished(() => proxy.close());
    const { pool, first, credentials$ } = await open({ port: proxy.port });
    const one = await pool.getConnection();
    proxy.delay(400);
    const asking = whoami(pool);
    await new Promise((resolve) => setTimeout(resolve, 100));
    proxy.delay(0);
    const next = await issue();
    credentials$.next(next.credentials);
    first.need?.onEnding?.();
    expect(await asking).toBe(next.user);
    one.release();
    await expect.poll(() => first.holds).toBe(0);
  });

  it('closes and reports what is still in use after the drain window; its query fails', async () => {
    const { pool, first, rotate, events } = await open({ drain: 300 });
    expect(first.need?.drain).toBe(300);
    const connection = await pool.getConnection();
    const failed = failure(connection.query('select sleep(20)'));
    await rotate(await issue());
    await expect
      .poll(() => events.at(-1))
      .toMatchObject({ type: 'stragglers', serial: first.credentials.lease.serial, count: 1 });
    expect(await failed).toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST' });
    connection.release();
    await expect.poll(() => first.holds).toBe(0);
  });

  it('closes them before the lease ends, however long the window is', async () => {
    const { pool, first, rotate, events } = await open();
    const connection = await pool.getConnection();
    await rotate(await issue());
    first.need?.onEnding?.();
    expect(events.at(-1)).toMatchObject({ type: 'stragglers', count: 1 });
    await expect.poll(() => first.holds).toBe(0);
    connection.release();
  });

  it('takes unproved credentials where the ones before are about to end', async () => {
    const { pool, first, credentials$ } = await open();
    const late = await issue('never');
    credentials$.next(late.credentials);
    first.need?.onEnding?.();
    await create(late.user);
    expect(await whoami(pool)).toBe(late.user);
  });

  it('a user who is gone: whoever connects waits for the next one, and nobody sees an error', async () => {
    const { pool, first, rotate } = await open();
    await mariadb.query(`drop user ${first.user}`);
    (await pool.getConnection()).destroy();
    const waiting = [whoami(pool), whoami(pool)];
    await expect.poll(() => first.refused).toEqual([true]);
    const next = await issue();
    await rotate(next);
    expect(await Promise.all(waiting)).toEqual([next.user, next.user]);
    expect(first.refused).toEqual([true]);
  });

  it.each(['query', 'execute'] as const)(
    'lost privileges (%s): the credentials are checked once in a while, not at each error',
    async (method) => {
      const { pool, first } = await open({}, 'table');
      const run = (sql: string) => (method === 'query' ? pool.query(sql) : pool.execute(sql));
      const denied = async () => (await failure(run('select * from private')))?.errno;
      expect(await Promise.all(Array.from({ length: 50 }, denied))).toEqual(Array(50).fill(1142));
      // They still log in, so whether the lease lives is the question; a grant may be missing for good.
      await expect.poll(() => first.refused).toEqual([false]);
      await denied();
      expect(first.refused).toEqual([false]);
    },
  );

  it('denied statements do not hide a user who is gone', async () => {
    const { pool, first, rotate } = await open({}, 'table');
    const denied = () => failure(pool.query('select * from private'));
    await denied();
    await expect.poll(() => first.refused).toEqual([false]);
    // Each is checked later than the one before.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await denied();
    await expect.poll(() => first.refused).toEqual([false, false]);
    await mariadb.query(`drop user ${first.user}`);
    (await pool.getConnection()).destroy();
    const waiting = whoami(pool);
    await expect.poll(() => first.refused).toEqual([false, false, true]);
    const next = await issue();
    await rotate(next);
    expect(await waiting).toBe(next.user);
  });

  it('all privileges on the database are lost: the user is let in, so the server is asked', async () => {
    const { pool, first } = await open();
    await mariadb.query(`revoke all privileges on orders.* from ${first.user}`);
    (await pool.getConnection()).destroy();
    expect(await failure(whoami(pool))).toMatchObject({ errno: 1044 });
    await expect.poll(() => first.refused).toEqual([false]);
  });

  it('keeps no password where it could be printed, and changeUser works all the same', async () => {
    const { pool, first } = await open();
    const connection = await pool.getConnection();
    const slow = connection.query('select sleep(0.2)');
    // Both know each other, so they cannot be JSON.
    const shown = () => inspect([pool, connection], { depth: 12, showHidden: true, getters: true });
    expect(shown()).toContain(first.user);
    expect(shown()).not.toContain(`canary-${first.user}`);
    await slow;
    await connection.changeUser({ database: 'orders' });
    expect(await whoami(connection)).toBe(first.user);
    expect(shown()).not.toContain(`canary-${first.user}`);
    connection.release();
  });

  it('callbacks, prepared statements, streams and event emitters work as in mysql2', async () => {
    const { pool } = await open();
    const core = pool.pool;
    const connection = await new Promise<PoolConnection>((resolve, reject) => {
      core.getConnection((error, one) => (error ? reject(error) : resolve(one)));
    });
    connection.release();
    core.releaseConnection(connection);
    expect((await pool.execute('select ? + 1 as n', [41]))[0]).toEqual([{ n: 42 }]);
    const rows: unknown[] = [];
    for await (const row of core.query('select seq from seq_1_to_1000').stream()) rows.push(row);
    expect(rows).toHaveLength(1_000);
    const [error] = (await once(core.query('select * from nowhere'), 'error')) as [{ errno: number }];
    expect(error.errno).toBe(1146);
    expect(pool.escape(`it's`)).toBe(`'it\\'s'`);
  });

  it('Kysely and Drizzle take it, and rotate with it', async () => {
    const { pool, rotate } = await open();
    const kysely = new Kysely<unknown>({ dialect: new MysqlDialect({ pool: pool.pool }) });
    const drizzled = drizzle(pool);
    const names = async () => {
      const text = `select substring_index(user(), '@', 1) as name`;
      const { rows } = await sql<{ name: string }>`${sql.raw(text)}`.execute(kysely);
      const [[row]] = (await drizzled.execute(text)) as unknown as [{ name: string }[]];
      await kysely.transaction().execute((transaction) => sql`select 1`.execute(transaction));
      return [rows[0]?.name, row?.name];
    };
    await names();
    const next = await issue();
    await rotate(next);
    expect(await names()).toEqual([next.user, next.user]);
    await kysely.destroy();
  });

  it.skipIf(!opensslAvailable)('over TLS, all is the same', async () => {
    const ssl = { ca: authority?.cert, verifyIdentity: true };
    const { pool, first, rotate, events } = await open({ ssl, host: 'localhost', drain: 300 });
    const [[row]] = (await pool.query(`show status like 'Ssl_version'`)) as [{ Value: string }[], unknown];
    expect(row?.Value).toMatch(/^TLS/);
    const connection = await pool.getConnection();
    const failed = failure(connection.query('select sleep(1.5)'));
    const next = await issue();
    await rotate(next);
    expect(await whoami(pool)).toBe(next.user);
    expect(await failed).toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST' });
    expect(events.at(-1)).toMatchObject({ type: 'stragglers', count: 1 });
    // The server finds out when the statement is done, and not before.
    expect(await connections(first.user)).toBe(1);
    await expect.poll(() => connections(first.user), { timeout: 5_000 }).toBe(0);
    connection.release();
  });

  it('made before there are credentials, it connects when they come', async () => {
    const credentials$ = new Subject<DatabaseCredentials>();
    const pool = new RotatingPool(credentials$, where());
    pools.push(pool);
    const waiting = whoami(pool.promise());
    const first = await issue();
    credentials$.next(first.credentials);
    expect(await waiting).toBe(first.user);
  });

  it('does not wait for credentials longer than for a connection', async () => {
    const pool = new RotatingPool(new Subject<DatabaseCredentials>(), { ...where(), connectTimeout: 50 });
    pools.push(pool);
    await expect(pool.promise().getConnection()).rejects.toThrow(/credentials/);
  });

  it('ends with its stream: transactions finish first, nothing new is begun, every lease is let go of', async () => {
    const { pool, first, credentials$ } = await open();
    const connection = await pool.getConnection();
    await connection.beginTransaction();
    credentials$.complete();
    expect(
      await failure(new Promise((resolve) => setTimeout(resolve, 50)).then(() => whoami(pool))),
    ).toMatchObject({
      code: 'VAULT_CLOSED',
    });
    expect(await whoami(connection)).toBe(first.user);
    expect(first.holds).toBe(1);
    await connection.commit();
    connection.release();
    await expect.poll(() => first.holds).toBe(0);
    await expect.poll(() => connections(first.user)).toBe(0);
    // Whoever made it may end it, too.
    await pool.end();
    await pool.end();
  });

  it('the first login is refused: VAULT_CREDENTIALS_REJECTED, and what to look at', async () => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const wrong = await issue('never');
    credentials$.next(wrong.credentials);
    const error = await failure(createRotatingPool(credentials$, where()));
    expect(error).toMatchObject({
      code: 'VAULT_CREDENTIALS_REJECTED',
      path: 'database/creds/app',
      message: expect.stringMatching(/\(error 1045\).*creation_statements/),
    });
    expectNoLeak(error, [`canary-${wrong.user}`]);
    expect(wrong.refused).toEqual([true]);
    expect(wrong.holds).toBe(0);
  });

  it('the database of the config is not granted: the hint says so, at once', async () => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = await issue('table');
    credentials$.next(first.credentials);
    const before = Date.now();
    const error = await failure(createRotatingPool(credentials$, { ...where(), database: 'elsewhere' }));
    expect(error).toMatchObject({
      code: 'VAULT_CREDENTIALS_REJECTED',
      hint: expect.stringMatching(/database.*GRANT/),
    });
    expect(Date.now() - before).toBeLessThan(2_000);
  });

  it("mysql2's own limits are told as mysql2 does", async () => {
    const { pool } = await open({ connectionLimit: 1, queueLimit: 1 });
    const connection = await pool.getConnection();
    const queued = whoami(pool);
    expect(await failure(pool.getConnection())).toMatchObject({ message: 'Queue limit reached.' });
    connection.release();
    await queued;
  });

  it('whatever the stream errors with, the pool rejects with', async () => {
    const credentials$ = new Subject<DatabaseCredentials>();
    const pool = createRotatingPool(credentials$, where());
    credentials$.error(new Error('denied'));
    await expect(pool).rejects.toThrow('denied');
    const failed = new RotatingPool(credentials$, where()).promise();
    await expect(failed.getConnection()).rejects.toThrow('denied');
    await expect(failed.getConnection()).rejects.toThrow('denied');
  });

  it.each(['user', 'password', 'password1', 'passwordSha1', 'uri'])(
    'refuses a config that names `%s`',
    (key) => {
      const make = () => new RotatingPool(new Subject(), { [key]: 'canary-in-config' } as object);
      expect(make).toThrow(expect.objectContaining({ code: 'VAULT_CONFIG_INVALID' }));
      expect(make).not.toThrow(/canary/);
    },
  );

  it('refuses a connection string, too', () => {
    const make = () => new RotatingPool(new Subject(), 'mysql://canary@db/orders' as unknown as object);
    expect(make).toThrow(expect.objectContaining({ code: 'VAULT_CONFIG_INVALID' }));
  });
});
