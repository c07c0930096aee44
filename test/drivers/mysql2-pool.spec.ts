import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from 'mysql2';
import { VaultError } from 'nestjs-vault';
import { afterAll, afterEach, beforeAll, expect, it, onTestFinished } from 'vitest';
import { failure } from '../support/issued.js';
import { Mysql2Pools, whoami } from '../support/mysql2-pools.js';
import { describeMariaDb } from '../support/real-mariadb.js';
import { startTcpProxy } from '../support/servers.mjs';

describeMariaDb('rotating pool of mysql2', () => {
  let pools: Mysql2Pools;

  beforeAll(async () => {
    pools = await Mysql2Pools.start();
  });
  afterAll(() => pools?.stop());
  afterEach(() => pools?.end());

  it('waits for an unreachable database, and requests no other credentials because of it', async () => {
    const { pool, first, types, credentials$ } = await pools.open();
    const next = await pools.issue();
    await pools.mariadb.kill();
    credentials$.next(next.credentials);
    await expect.poll(types, { timeout: 5_000 }).toEqual(['verification-failed']);
    await pools.mariadb.restart();
    await expect.poll(types, { timeout: 5_000 }).toContain('rotated');
    expect(await whoami(pool)).toBe(next.user);
    // The server was asked whether the lease is valid, as a proxy may answer anything for a removed user.
    expect(new Set([...first.refused, ...next.refused])).toEqual(new Set([false]));
  });

  it('closes all idle connections of earlier credentials at once, by COM_QUIT', async () => {
    const aborted = async () =>
      Number(
        (await pools.mariadb.query<{ Value: string }>(`show global status like 'Aborted_clients'`))[0]?.Value,
      );
    const before = await aborted();
    const { pool, first, rotate } = await pools.open({ connectionLimit: 4 });
    const all = await Promise.all([1, 2, 3, 4].map(() => pool.getConnection()));
    for (const connection of all) connection.release();
    expect(await pools.connections(first.user)).toBe(4);
    await rotate(await pools.issue());
    await expect.poll(() => pools.connections(first.user)).toBe(0);
    await expect.poll(() => first.holds).toBe(0);
    expect(await aborted()).toBe(before);
  });

  it('lets a transaction finish, notifies its connection, and holds the lease until then', async () => {
    const { pool, first, rotate, types } = await pools.open();
    const connection = await pool.getConnection();
    await connection.beginTransaction();
    const superseded = once(connection, 'superseded') as Promise<[Date]>;
    const before = Date.now();
    await rotate(await pools.issue());
    const [until] = await superseded;
    expect(until.getTime() - before).toBeGreaterThanOrEqual(30_000);
    expect(await whoami(connection)).toBe(first.user);
    expect({ holds: first.holds, superseded: pool.supersededCount }).toEqual({ holds: 1, superseded: 1 });
    await connection.commit();
    connection.release();
    await expect.poll(() => pools.connections(first.user)).toBe(0);
    await expect.poll(() => first.holds).toBe(0);
    expect(pool.supersededCount).toBe(0);
    expect(types()).toEqual(['rotated']);
  });

  it('a connection that passes from caller to caller without being idle is not lent past a rotation', async () => {
    const { pool, first, rotate } = await pools.open({ connectionLimit: 1 });
    const connection = await pool.getConnection();
    const next = await pools.issue();
    await rotate(next);
    // mysql2 passes it to a waiting caller without an event.
    const waiting = [whoami(pool), whoami(pool)];
    connection.release();
    expect(await Promise.all(waiting)).toEqual([next.user, next.user]);
    await expect.poll(() => first.holds).toBe(0);
  });

  it('a waiting caller does not hang if another caller destroys its connection, or it breaks', async () => {
    const { pool, rotate } = await pools.open({ connectionLimit: 2 });
    const [one, other] = await Promise.all([pool.getConnection(), pool.getConnection()]);
    const broken = failure(other.query('select sleep(20)'));
    const next = await pools.issue();
    await rotate(next);
    const waiting = [whoami(pool), whoami(pool)];
    one.destroy();
    await pools.mariadb.query(`kill ${other.threadId}`);
    expect(await Promise.all(waiting)).toEqual([next.user, next.user]);
    expect(await broken).toBeInstanceOf(Error);
  });

  it('a connection that was begun with earlier credentials is not lent', async () => {
    const proxy = await startTcpProxy(pools.mariadb.port);
    onTestFinished(() => proxy.close());
    const { pool, first, rotate } = await pools.open({ port: proxy.port });
    const one = await pool.getConnection();
    proxy.delay(400);
    const asking = whoami(pool);
    await new Promise((resolve) => setTimeout(resolve, 100));
    proxy.delay(0);
    const next = await pools.issue();
    await rotate(next);
    expect(pool.supersededCount).toBe(2);
    expect(await asking).toBe(next.user);
    one.release();
    await expect.poll(() => first.holds).toBe(0);
  });

  it('a call does not fail when such a connection is closed at the end of its lease', async () => {
    const proxy = await startTcpProxy(pools.mariadb.port);
    onTestFinished(() => proxy.close());
    const { pool, first, credentials$ } = await pools.open({ port: proxy.port });
    const one = await pool.getConnection();
    proxy.delay(400);
    const asking = whoami(pool);
    await new Promise((resolve) => setTimeout(resolve, 100));
    proxy.delay(0);
    const next = await pools.issue();
    credentials$.next(next.credentials);
    first.need?.onEnding?.();
    expect(await asking).toBe(next.user);
    one.release();
    await expect.poll(() => first.holds).toBe(0);
  });

  it("a kept connection emits 'error', and leaves the pool though it is never released", async () => {
    const { pool, rotate } = await pools.open({ drain: 200, connectionLimit: 1 });
    for (let rotation = 0; rotation < 3; rotation++) {
      const kept = await pool.getConnection();
      const heard: unknown[] = [];
      kept.on('error', (error) => heard.push(error));
      const waiting = pool.query('select current_user() as name');
      const next = await pools.issue();
      await rotate(next);
      expect(await waiting).toMatchObject([[{ name: `${next.user}@%` }], expect.anything()]);
      expect(heard).toMatchObject([{ code: 'PROTOCOL_CONNECTION_LOST' }]);
      kept.release();
    }
  });

  it('lends no connection past the end of its lease before a check; gives the reason if there is none', async () => {
    const { pool, first, rotate } = await pools.open({ connectionLimit: 1 });
    let looks = 0;
    let outcome: Promise<void> | undefined;
    Object.assign(first.credentials.lease, { ensureValid: () => (looks++, outcome) });
    await pool.query('select 1');
    outcome = Promise.reject(
      new VaultError({ code: 'VAULT_CREDENTIALS_EXPIRED', message: 'None is valid.', hint: 'Wait.' }),
    );
    outcome.catch(() => undefined);
    const waiting = pool.query('select current_user() as name');
    const next = await pools.issue();
    await rotate(next);
    expect(await waiting).toMatchObject([[{ name: `${next.user}@%` }], expect.anything()]);
    expect(looks).toBeGreaterThan(0);
    Object.assign(next.credentials.lease, { ensureValid: () => outcome });
    expect(await failure(pool.query('select 1'))).toMatchObject({ code: 'VAULT_CREDENTIALS_EXPIRED' });
  });

  it('a pool that its user has ended rejects with that reason', async () => {
    const { pool } = await pools.open();
    await pool.end();
    expect(await failure(pool.query('select 1'))).toMatchObject({
      code: 'VAULT_CLOSED',
      message: expect.stringContaining('has been ended') as string,
    });
  });

  it.each(['waits for its reader', 'waits for the server'])(
    'a stream of rows fails with its connection instead of hanging: one that %s',
    async (which) => {
      const { pool, rotate } = await pools.open({ drain: 300 });
      const sql =
        which === 'waits for its reader'
          ? `select repeat('x', 20000) as filler from seq_1_to_2000`
          : 'select seq, sleep(0.05) from seq_1_to_2000';
      const stream = pool.pool.query(sql).stream();
      const read = async () => {
        for await (const _row of stream) await sleep(20);
      };
      const failed = failure(read());
      await rotate(await pools.issue());
      expect(await failed).toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST' });
    },
  );

  it('queued queries fail with the connection, and so does a later one', async () => {
    const { pool, rotate } = await pools.open({ drain: 300 });
    const connection = await pool.getConnection();
    const core = connection.connection as unknown as Connection;
    const read = async (sql: string) => {
      for await (const _row of core.query(sql).stream()) await sleep(20);
    };
    const failed = ['select seq, sleep(0.05) from seq_1_to_2000', 'select 1', 'select 2'].map((sql) =>
      failure(read(sql)),
    );
    await rotate(await pools.issue());
    for (const one of failed) expect(await one).toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST' });
    expect(await failure(read('select 3'))).toMatchObject({ fatal: true });
    connection.release();
  });

  it('closes connections before the lease ends, even within the drain window', async () => {
    const { pool, first, rotate, events } = await pools.open();
    const connection = await pool.getConnection();
    await rotate(await pools.issue());
    first.need?.onEnding?.();
    expect(events.at(-1)).toMatchObject({ type: 'drain-timeout', count: 1 });
    await expect.poll(() => first.holds).toBe(0);
    connection.release();
  });

  it('uses unverified credentials when the previous ones are about to end', async () => {
    const { pool, first, credentials$ } = await pools.open();
    const late = await pools.issue('never');
    credentials$.next(late.credentials);
    first.need?.onEnding?.();
    await pools.create(late.user);
    expect(await whoami(pool)).toBe(late.user);
  });

  it.each(['query', 'execute'] as const)(
    'lost privileges (%s): the credentials are checked at intervals, not at each error',
    async (method) => {
      const { pool, first } = await pools.open({}, 'table');
      const run = (sql: string) => (method === 'query' ? pool.query(sql) : pool.execute(sql));
      const denied = async () => (await failure(run('select * from private')))?.errno;
      expect(await Promise.all(Array.from({ length: 50 }, denied))).toEqual(Array(50).fill(1142));
      // The login still works, so only the server knows whether the lease is valid; a grant may be missing for good.
      await expect.poll(() => first.refused).toEqual([false]);
      await denied();
      expect(first.refused).toEqual([false]);
    },
  );

  it('denied statements do not hide a removed user', async () => {
    const { pool, first, rotate } = await pools.open({}, 'table');
    const denied = () => failure(pool.query('select * from private'));
    await denied();
    await expect.poll(() => first.refused).toEqual([false]);
    // Each check comes later than the one before.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await denied();
    await expect.poll(() => first.refused).toEqual([false, false]);
    await pools.mariadb.query(`drop user ${first.user}`);
    (await pool.getConnection()).destroy();
    const waiting = whoami(pool);
    await expect.poll(() => first.refused).toEqual([false, false, true]);
    const next = await pools.issue();
    await rotate(next);
    expect(await waiting).toBe(next.user);
  });

  it('all privileges on the database are lost: the user can log in, so the lease is looked up', async () => {
    const { pool, first } = await pools.open();
    await pools.mariadb.query(`revoke all privileges on orders.* from ${first.user}`);
    (await pool.getConnection()).destroy();
    expect(await failure(whoami(pool))).toMatchObject({ errno: 1044 });
    await expect.poll(() => first.refused).toEqual([false]);
  });
});
