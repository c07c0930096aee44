import { once } from 'node:events';
import { inspect } from 'node:util';
import { drizzle } from 'drizzle-orm/mysql2';
import { Kysely, MysqlDialect, sql } from 'kysely';
import type { PoolConnection } from 'mysql2';
import type { DatabaseCredentials } from 'nestjs-vault';
import { createRotatingMysqlPool, RotatingMysqlPool } from 'nestjs-vault/mysql2';
import { ReplaySubject, Subject } from 'rxjs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { opensslAvailable } from '../support/certificates.js';
import { expectNoLeak } from '../support/leaks.js';
import { failure } from '../support/issued.js';
import { Mysql2Pools, whoami } from '../support/mysql2-pools.js';
import { describeMariaDb } from '../support/real-mariadb.js';

describeMariaDb('rotating pool of mysql2, as a pool of mysql2', () => {
  let pools: Mysql2Pools;

  beforeAll(async () => {
    pools = await Mysql2Pools.start();
  });
  afterAll(() => pools?.stop());
  afterEach(() => pools?.end());

  it('keeps no password in a printable place, and changeUser still works', async () => {
    const { pool, first } = await pools.open();
    const connection = await pool.getConnection();
    const slow = connection.query('select sleep(0.2)');
    // Both refer to each other, so they cannot become JSON.
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
    const { pool } = await pools.open();
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

  it('Kysely and Drizzle accept it, and rotate with it', async () => {
    const { pool, rotate } = await pools.open();
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
    const next = await pools.issue();
    await rotate(next);
    expect(await names()).toEqual([next.user, next.user]);
    await kysely.destroy();
  });

  it.skipIf(!opensslAvailable)('works over TLS', async () => {
    const ssl = { ca: pools.authority?.cert, verifyIdentity: true };
    const { pool, first, rotate, events } = await pools.open({ ssl, host: 'localhost', drain: 300 });
    const [[row]] = (await pool.query(`show status like 'Ssl_version'`)) as [{ Value: string }[], unknown];
    expect(row?.Value).toMatch(/^TLS/);
    const connection = await pool.getConnection();
    const failed = failure(connection.query('select sleep(1.5)'));
    const next = await pools.issue();
    await rotate(next);
    expect(await whoami(pool)).toBe(next.user);
    expect(await failed).toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST' });
    expect(events.at(-1)).toMatchObject({ type: 'drain-timeout', count: 1 });
    expect(pool.counters).toMatchObject({ rotated: 1, 'drain-timeout': 1 });
    // The server notices only at the end of the statement.
    expect(await pools.connections(first.user)).toBe(1);
    await expect.poll(() => pools.connections(first.user), { timeout: 5_000 }).toBe(0);
    connection.release();
  });

  it('made before the first credentials, it connects when they come', async () => {
    const credentials$ = new Subject<DatabaseCredentials>();
    const pool = new RotatingMysqlPool(credentials$, pools.where);
    pools.add(pool);
    const waiting = whoami(pool.promise());
    const first = await pools.issue();
    credentials$.next(first.credentials);
    expect(await waiting).toBe(first.user);
  });

  it('waits for credentials no longer than for a connection', async () => {
    const pool = new RotatingMysqlPool(new Subject<DatabaseCredentials>(), {
      ...pools.where,
      connectTimeout: 50,
    });
    pools.add(pool);
    await expect(pool.promise().getConnection()).rejects.toThrow(/credentials/);
  });

  it('ends with its stream: transactions finish first, nothing new begins, every lease is released', async () => {
    const { pool, first, credentials$ } = await pools.open();
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
    await expect.poll(() => pools.connections(first.user)).toBe(0);
    // The application may also end its pool itself.
    await pool.end();
    await pool.end();
  });

  it('the first login is rejected: VAULT_CREDENTIALS_REJECTED, with a hint on the cause', async () => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const wrong = await pools.issue('never');
    credentials$.next(wrong.credentials);
    const error = await failure(createRotatingMysqlPool(credentials$, pools.where));
    expect(error).toMatchObject({
      code: 'VAULT_CREDENTIALS_REJECTED',
      path: 'database/creds/app',
      message: expect.stringMatching(/\(error 1045\).*creation_statements/),
    });
    expectNoLeak(error, [`canary-${wrong.user}`]);
    expect(wrong.refused).toEqual([true]);
    expect(wrong.holds).toBe(0);
  });

  it('the database of the config is not granted: the error comes at once, and its hint names the grant', async () => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = await pools.issue('table');
    credentials$.next(first.credentials);
    const before = Date.now();
    const error = await failure(
      createRotatingMysqlPool(credentials$, { ...pools.where, database: 'elsewhere' }),
    );
    expect(error).toMatchObject({
      code: 'VAULT_CREDENTIALS_REJECTED',
      hint: expect.stringMatching(/database.*GRANT/),
    });
    expect(Date.now() - before).toBeLessThan(2_000);
  });

  it("mysql2's own limits have mysql2's errors", async () => {
    const { pool } = await pools.open({ connectionLimit: 1, queueLimit: 1 });
    const connection = await pool.getConnection();
    const queued = whoami(pool);
    expect(await failure(pool.getConnection())).toMatchObject({ message: 'Queue limit reached.' });
    connection.release();
    await queued;
  });

  it('the pool rejects with the error of the stream', async () => {
    const credentials$ = new Subject<DatabaseCredentials>();
    const pool = createRotatingMysqlPool(credentials$, pools.where);
    credentials$.error(new Error('denied'));
    await expect(pool).rejects.toThrow('denied');
    const failed = new RotatingMysqlPool(credentials$, pools.where).promise();
    await expect(failed.getConnection()).rejects.toThrow('denied');
    await expect(failed.getConnection()).rejects.toThrow('denied');
  });

  it.each(['user', 'password', 'password1', 'passwordSha1', 'uri'])(
    'refuses a config that names `%s`',
    (key) => {
      const make = () => new RotatingMysqlPool(new Subject(), { [key]: 'canary-in-config' } as object);
      expect(make).toThrow(expect.objectContaining({ code: 'VAULT_CONFIG_INVALID' }));
      expect(make).not.toThrow(/canary/);
    },
  );

  it('refuses a connection string, too', () => {
    const make = () => new RotatingMysqlPool(new Subject(), 'mysql://canary@db/orders' as unknown as object);
    expect(make).toThrow(expect.objectContaining({ code: 'VAULT_CONFIG_INVALID' }));
  });
});
