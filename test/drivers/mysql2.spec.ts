import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection as CoreConnection } from 'mysql2';
import type { PoolConnection, RowDataPacket } from 'mysql2/promise';
import { CredentialsService, getCredentialsToken } from 'nestjs-vault';
import {
  createRotatingMysqlPool,
  type LoginCredentials,
  type PoolEvent,
  type RotatingMysqlPoolConfig,
  type RotatingMysqlPromisePool,
} from 'nestjs-vault/mysql2';
import type { Observable } from 'rxjs';
import { afterAll, beforeAll, it } from 'vitest';
import { LeasedMariaDb, load, show, type Work } from '../support/leased-mariadb.js';
import { describeMariaDb } from '../support/real-mariadb.js';

const TABLE_GRANT = [
  `CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'`,
  `GRANT SELECT, INSERT ON orders.items TO '{{name}}'@'%'`,
];
/** Only MariaDB has the second statement. */
const KILL = [`DROP USER IF EXISTS '{{name}}'@'%'`, `KILL USER '{{name}}'`];

/** In milliseconds: tenths of a second on an idle machine; 40 s without the pool's check. */
const SOON = 10_000;

describeMariaDb('mysql2 on OpenBao and MariaDB', () => {
  let leased: LeasedMariaDb;

  beforeAll(async () => {
    leased = await LeasedMariaDb.start([
      { name: 'soak' },
      { name: 'stream' },
      { name: 'revoked', long: true },
      { name: 'table', creation: TABLE_GRANT, long: true },
      { name: 'killed', revocation: KILL, long: true },
      { name: 'dropped', long: true },
      { name: 'closing', long: true },
    ]);
  });
  afterAll(() => leased?.stop());

  /** An application with a pool, and the pool's events. */
  const start = async (role: string, config: RotatingMysqlPoolConfig = {}) => {
    const inject = getCredentialsToken(role === 'rotated' ? { path: 'database/static-creds/rotated' } : role);
    const useFactory = (credentials$: Observable<LoginCredentials>) =>
      createRotatingMysqlPool(leased.guarded(credentials$), {
        ...leased.where,
        connectionLimit: 6,
        ...config,
      });
    const app = await leased.app({ providers: [{ provide: 'POOL', inject: [inject], useFactory }] });
    const pool = app.get<RotatingMysqlPromisePool>('POOL');
    const events: PoolEvent[] = [];
    pool.on('rotation', (event) => events.push(event));
    const count = (type: PoolEvent['type']) => events.filter((one) => one.type === type).length;
    return { app, pool, events, count };
  };

  /** Queries and transactions, by both of mysql2's protocols. */
  const work = (pool: RotatingMysqlPromisePool): Work => ({
    query: () => pool.query('insert into items (item) values (?)', ['tea']),
    transaction: async (wait) => {
      const connection = await pool.getConnection();
      try {
        await connection.beginTransaction();
        await connection.execute('insert into items (item) values (?)', ['milk']);
        await wait();
        await connection.query('select count(*) from items');
        await connection.commit();
      } finally {
        connection.release();
      }
    },
  });
  const whoami = async (on: RotatingMysqlPromisePool | PoolConnection) => {
    const [rows] = await on.query<RowDataPacket[]>(`select substring_index(user(), '@', 1) as name`);
    return rows[0]?.['name'] as string;
  };
  const note = (text: string) => leased.apps.note(text);

  it.concurrent(
    '12 s of queries and transactions over leases of 3 s / 6 s: nothing fails, nothing is left',
    async ({ expect, onTestFinished }) => {
      const { app, pool, count } = await start('soak', { drain: 2_600 });
      const { stop } = load(work(pool), note, onTestFinished);
      const checks: Promise<number>[] = [];
      pool.on('rotation', ({ type }) => {
        // As long as the longest transaction.
        const users = async () => new Set(await leased.connections('soak')).size;
        if (type === 'rotated') checks.push(sleep(1_600).then(users));
      });
      await sleep(12_000);
      const { failures, queries, transactions } = await stop();
      // Only the current user is left.
      const others = async () => {
        const now = await whoami(pool);
        return (await leased.connections('soak')).filter((user) => user !== now);
      };
      await expect.poll(others).toEqual([]);
      const mixed = new Set(await Promise.all(checks));
      const kinds = app.get(CredentialsService).recentEvents.map(({ type }) => type);
      const stragglers = count('drain-timeout');
      show('soak', {
        rotations: count('rotated'),
        queries,
        transactions,
        failures: failures.length,
        stragglers,
      });
      await app.close();
      expect(failures).toEqual([]);
      expect(stragglers).toBe(0);
      expect(count('rotated')).toBeGreaterThanOrEqual(2);
      expect(kinds).toContain('renewed');
      expect(mixed).toEqual(new Set([1]));
      await expect
        .poll(() => leased.left('soak'), { timeout: 5_000 })
        .toEqual({ users: [], connections: [] });
    },
  );

  it.concurrent(
    'a result that is read slowly during a rotation is notified, and finishes',
    async ({ expect }) => {
      const { pool, events } = await start('stream', { drain: 3_000 });
      const connection = await pool.getConnection();
      const before = await whoami(connection);
      let until: Date | undefined;
      void once(connection, 'superseded').then(([time]) => (until = time as Date));
      // The connection of the callback API, as the other one has no streams.
      const core = connection.connection as unknown as CoreConnection;
      const stream = core.query('select seq from seq_1_to_50000').stream();
      let rows = 0;
      for await (const _row of stream) {
        rows++;
        // Reads slowly until the notification, so that the rotation comes in the middle.
        if (!until && rows % 100 === 0) await sleep(20);
      }
      connection.release();
      expect(rows).toBe(50_000);
      expect(until?.getTime()).toBeGreaterThan(Date.now());
      expect(events.map(({ type }) => type)).toEqual(['rotated']);
      expect(await whoami(pool)).not.toBe(before);
      await expect.poll(() => pool.supersededCount).toBe(0);
    },
  );

  it.concurrent(
    'an operator revokes the lease: sessions keep their privileges, new connections wait for the next user',
    async ({ expect, onTestFinished }) => {
      const { pool, count } = await start('revoked');
      const before = await whoami(pool);
      const all = await Promise.all(Array.from({ length: 4 }, () => pool.getConnection()));
      await leased.revoke('revoked');
      // MariaDB checks a grant on a database only when a session selects it, so sessions would not notice.
      for (const old of all) {
        await old.query('insert into items (item) values (?)', ['while revoked']);
        expect(await whoami(old)).toBe(before);
      }
      expect((await leased.left('revoked')).users).not.toContain(before);
      const at = performance.now();
      for (const old of all) old.destroy();
      const { done, stop } = load(work(pool), note, onTestFinished);
      await expect.poll(() => count('rotated'), { timeout: 15_000, interval: 10 }).toBe(1);
      const recovered = performance.now() - at;
      expect(await whoami(pool)).not.toBe(before);
      await stop();
      show('revoked', { recovered, queries: done.queries, failures: done.failures.length });
      expect(done.failures).toEqual([]);
      expect(recovered).toBeLessThan(SOON);
      await expect.poll(() => pool.supersededCount).toBe(0);
    },
  );

  it.concurrent(
    'with grants on tables, sessions lose their privileges at once: a few queries fail, then none',
    async ({ expect, onTestFinished }) => {
      const { pool, count } = await start('table');
      const { done, stop } = load(work(pool), note, onTestFinished);
      await sleep(500);
      await leased.revoke('table');
      const at = performance.now();
      await expect.poll(() => count('rotated'), { timeout: 15_000, interval: 10 }).toBe(1);
      const recovered = performance.now() - at;
      await sleep(2_000);
      await stop();
      const { failures, queries } = done;
      const last = Math.max(...failures.map((one) => one.at - at));
      show('table', { recovered, last, queries, failures: failures.length });
      const codes = failures.map(({ error }) => (error as NodeJS.ErrnoException).errno);
      expect(new Set(codes)).toEqual(new Set([1142]));
      expect(recovered).toBeLessThan(SOON);
    },
  );

  it.concurrent(
    'with KILL USER in the revocation, sessions end with the lease: their running statements fail, nothing else',
    async ({ expect, onTestFinished }) => {
      const { pool, count } = await start('killed');
      const { done, stop } = load(work(pool), note, onTestFinished);
      await sleep(500);
      await leased.revoke('killed');
      const at = performance.now();
      await expect.poll(() => count('rotated'), { timeout: 15_000, interval: 10 }).toBe(1);
      const recovered = performance.now() - at;
      await sleep(1_500);
      await stop();
      const { failures, queries } = done;
      show('killed', { recovered, queries, failures: failures.length });
      // The two transactions, and running queries: a closed session cannot even roll back.
      const lost = /Connection lost|closed state|Connection was killed/;
      expect(failures.map(({ error }) => error.message).filter((message) => !lost.test(message))).toEqual([]);
      expect(failures.length).toBeLessThan(10);
      expect(recovered).toBeLessThan(SOON);
    },
  );

  it.concurrent(
    'an operator drops the user: a new lease is issued though the old one is valid',
    async ({ expect, onTestFinished }) => {
      const { pool, count } = await start('dropped');
      const before = await whoami(pool);
      const all = await Promise.all(Array.from({ length: 4 }, () => pool.getConnection()));
      await leased.mariadb.query(`drop user '${before}'@'%'`);
      // The next new connection shows it.
      const at = performance.now();
      for (const connection of all) connection.destroy();
      const { done, stop } = load(work(pool), note, onTestFinished);
      await expect.poll(() => count('rotated'), { timeout: 15_000, interval: 10 }).toBe(1);
      const recovered = performance.now() - at;
      expect(await whoami(pool)).not.toBe(before);
      await stop();
      show('dropped', { recovered, queries: done.queries, failures: done.failures.length });
      expect(done.failures).toEqual([]);
      expect(recovered).toBeLessThan(SOON);
    },
  );

  it.concurrent(
    'a static role, whose password the server rotates every 5 s',
    async ({ expect, onTestFinished }) => {
      const { pool, count } = await start('rotated');
      const { stop } = load(work(pool), note, onTestFinished);
      // New connections all the time, as only logins use the password.
      const churn = setInterval(() => {
        void pool.getConnection().then(
          (connection) => connection.destroy(),
          () => undefined,
        );
      }, 100);
      onTestFinished(() => clearInterval(churn));
      await sleep(12_000);
      clearInterval(churn);
      const { failures, queries } = await stop();
      show('static', { rotations: count('rotated'), queries, failures: failures.length });
      expect(await whoami(pool)).toBe('rotated');
      expect(failures).toEqual([]);
      expect(count('rotated')).toBeGreaterThanOrEqual(2);
    },
  );

  it.concurrent('a transaction that runs while the application closes is finished', async ({ expect }) => {
    const { app, pool } = await start('closing');
    const connection = await pool.getConnection();
    await connection.beginTransaction();
    await connection.query('insert into items (item) values (?)', ['last words']);
    const closing = app.close();
    await sleep(700);
    await connection.query('select count(*) from items');
    await connection.commit();
    connection.release();
    await closing;
    expect(await leased.mariadb.query(`select item from items where item = 'last words'`)).toHaveLength(1);
    await expect
      .poll(() => leased.left('closing'), { timeout: 5_000 })
      .toEqual({ users: [], connections: [] });
  });
});
