import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection as CoreConnection } from 'mysql2';
import { createConnection, type PoolConnection, type RowDataPacket } from 'mysql2/promise';
import { getCredentialsToken } from 'nestjs-vault';
import {
  createRotatingMysqlPool,
  type LoginCredentials,
  type PoolEvent,
  type RotatingMysqlPoolConfig,
  type RotatingMysqlPromisePool,
} from 'nestjs-vault/mysql2';
import type { Observable } from 'rxjs';
import { afterAll, beforeAll, it } from 'vitest';
import { LeasedMariaDb, load, show, underStaticRole, type Work } from '../support/leased-mariadb.js';
import { blocksOf } from '../support/pages.mjs';
import { describeMariaDb } from '../support/real-mariadb.js';

const TABLE_GRANT = [
  `CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'`,
  `GRANT SELECT, INSERT ON orders.items TO '{{name}}'@'%'`,
];
/** Only MariaDB has the second statement. */
const KILL = [`DROP USER IF EXISTS '{{name}}'@'%'`, `KILL USER '{{name}}'`];
/** A transaction that stays, without its session and its user. */
const XA = [
  `xa start 'kept'`,
  `insert into items (item) values ('stolen')`,
  `xa end 'kept'`,
  `xa prepare 'kept'`,
];

/** In milliseconds: tenths of a second on an idle machine; 40 s without the pool's check. */
const SOON = 10_000;

describeMariaDb('mysql2 on OpenBao and MariaDB', () => {
  let leased: LeasedMariaDb;

  beforeAll(async () => {
    leased = await LeasedMariaDb.start([
      { name: 'stream' },
      { name: 'revoked', long: true },
      { name: 'table', creation: TABLE_GRANT, long: true },
      { name: 'killed', revocation: KILL, long: true },
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
    'the statements of the page end a leaked user, and its check finds the rest',
    async ({ expect }) => {
      const { bao, mariadb, where } = leased;
      const PAGE = 'docs/databases/mysql2.md';
      const sql = blocksOf(PAGE).filter(({ language }) => language === 'sql');
      const [once, creation, revocation] = sql
        .find(({ text }) => /creation_statements/.test(text))!
        .text.split(/-- \w+_statements.*\n/);
      const [sessions, prepared] = sql.find(({ text }) => /XA RECOVER/.test(text))!.text.split(/;\n/);
      await mariadb.query(once!.replace('…', 'of-the-page'));
      const post = async (path: string, body: object) =>
        expect((await bao.api('POST', path, body)).status).toBeLessThan(300);
      await post('database/config/page', {
        plugin_name: 'mysql-database-plugin',
        connection_url: `{{username}}:{{password}}@tcp(${where.host}:${where.port})/`,
        username: 'vault_admin',
        password: 'of-the-page',
        allowed_roles: ['*'],
      });
      const statements = { creation_statements: creation, revocation_statements: revocation };
      await post('database/roles/page', { db_name: 'page', ...statements });
      const { data, lease_id: id } = (await bao.api('GET', 'database/creds/page')).body;
      const login = () => createConnection({ ...where, user: data.username, password: data.password });
      const thieves = await Promise.all(Array.from({ length: 20 }, login));
      for (const thief of thieves) thief.on('error', () => undefined);
      await expect(login()).rejects.toMatchObject({ code: 'ER_USER_LIMIT_REACHED' });
      const [thief, ...others] = thieves;
      for (const statement of XA) await thief!.query(statement);
      await Promise.all(others.map((other) => other.query('begin')));
      expect((await bao.api('PUT', 'sys/leases/revoke', { lease_id: id, sync: true })).status).toBe(204);
      const answers = () => Promise.allSettled(thieves.map((one) => one.query('select 1')));
      await expect
        .poll(async () => new Set((await answers()).map(({ status }) => status)))
        .toEqual(new Set(['rejected']));
      await expect(login()).rejects.toMatchObject({ code: 'ER_ACCESS_DENIED_ERROR' });
      expect(await mariadb.query(prepared!)).toHaveLength(1);
      await mariadb.query(`XA ROLLBACK 'kept'`);
      // Dropped by other statements, a user keeps its sessions.
      const left = async () =>
        (await mariadb.query<{ id: number; user: string }>(sessions!)).filter(({ user }) =>
          /^v-gone|-page-/.test(user),
        );
      expect(await left()).toEqual([]);
      await mariadb.query(`create user 'v-gone'@'%' identified by 'gone'`);
      const kept = await createConnection({
        ...where,
        database: undefined,
        user: 'v-gone',
        password: 'gone',
      });
      kept.on('error', () => undefined);
      await mariadb.query(`drop user 'v-gone'@'%'`);
      const [row] = await left();
      expect(row?.user).toBe('v-gone');
      await mariadb.query(`kill ${row!.id}`);
      await expect.poll(left).toEqual([]);
    },
  );

  it.concurrent(
    'a static role, whose password the server rotates every 5 s',
    async ({ expect, onTestFinished }) => {
      const { pool, count } = await start('rotated');
      const { stop } = load(work(pool), note, onTestFinished);
      await underStaticRole(pool.pool, onTestFinished, () => count('rotated'));
      const { failures, queries } = await stop();
      show('static', { rotations: count('rotated'), queries, failures: failures.length });
      expect(await whoami(pool)).toBe('rotated');
      expect(failures).toEqual([]);
      expect(count('drain-timeout')).toBe(0);
    },
  );
});
