import { once } from 'node:events';
import type { PoolClient } from 'pg';
import { BehaviorSubject, Subject } from 'rxjs';
import { Secret, type DatabaseCredentials } from 'nestjs-vault';
import { RotatingPgPool, type RotatingPgPoolConfig } from 'nestjs-vault/pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PgPools, whoami } from '../support/pg-pools.js';
import { startTcpProxy, type PostgresServer } from '../support/servers.mjs';

describe('rotating pool', () => {
  let pools: PgPools;
  let postgres: PostgresServer;

  beforeAll(async () => {
    pools = await PgPools.start();
    ({ postgres } = pools);
  });
  afterAll(() => pools?.stop());
  afterEach(() => pools?.end());

  const issue = (options?: { create: boolean }) => pools.issue(options);
  const open = (options?: RotatingPgPoolConfig) => pools.open(options);
  const connections = (user: string) => pools.connections(user);

  it('uses new credentials only once they have logged in; until then the previous ones', async () => {
    const { pool, first, events, credentials$ } = await open();
    const late = await issue({ create: false });
    credentials$.next(late.credentials);
    expect(await whoami(pool)).toBe(first.user);
    // A replica learns of a user a moment later than the primary.
    await pools.create(late.user, late.credentials.password.reveal());
    await expect.poll(() => whoami(pool)).toBe(late.user);
    expect(events.map(({ type }) => type)).toEqual(['rotated']);
    // The previous idle connection is closed when the next one is ready.
    await expect.poll(() => first.holds).toBe(0);
    expect(late).toMatchObject({ holds: 1, refused: [] });
  });

  it('reports credentials that the database rejects, and keeps the previous ones', async () => {
    const { pool, first, events, credentials$ } = await open();
    const wrong = await issue({ create: false });
    credentials$.next(wrong.credentials);
    await expect.poll(() => events.map(({ type }) => type), { timeout: 5_000 }).toEqual(['refused']);
    expect(wrong).toMatchObject({ holds: 0, refused: [true] });
    expect(await whoami(pool)).toBe(first.user);
    expect(first).toMatchObject({ holds: 1, refused: [] });
  });

  it('waits for an unreachable database, and requests no other credentials because of it', async () => {
    const { pool, first, events, credentials$ } = await open();
    const next = await issue();
    await postgres.kill();
    credentials$.next(next.credentials);
    await expect
      .poll(() => events.map(({ type }) => type), { timeout: 5_000 })
      .toEqual(['verification-failed']);
    await postgres.restart();
    await expect.poll(() => events.map(({ type }) => type), { timeout: 5_000 }).toContain('rotated');
    expect(await whoami(pool)).toBe(next.user);
    // The server was asked whether the lease is valid, as a proxy may answer anything for a removed user.
    expect(new Set([...first.refused, ...next.refused])).toEqual(new Set([false]));
  });

  it('closes all idle connections of earlier credentials, then releases their lease', async () => {
    const { pool, first, rotate } = await open({ max: 4 });
    const clients = await Promise.all([1, 2, 3, 4].map(() => pool.connect()));
    for (const client of clients) client.release();
    expect(await connections(first.user)).toBe(4);
    await rotate(await issue());
    await expect.poll(() => connections(first.user)).toBe(0);
    await expect.poll(() => first.holds).toBe(0);
  });

  it('lets a transaction finish, notifies its connection, and holds the lease until then', async () => {
    const { pool, first, rotate, events } = await open();
    const client = await pool.connect();
    await client.query('begin');
    const superseded = once(client, 'superseded') as Promise<[Date]>;
    const before = Date.now();
    await rotate(await issue());
    const [until] = await superseded;
    expect(until.getTime() - before).toBeGreaterThanOrEqual(30_000);
    expect(await whoami(client)).toBe(first.user);
    expect({ holds: first.holds, superseded: pool.supersededCount }).toEqual({ holds: 1, superseded: 1 });
    await client.query('commit');
    client.release();
    await expect.poll(() => connections(first.user)).toBe(0);
    expect({ holds: first.holds, superseded: pool.supersededCount }).toEqual({ holds: 0, superseded: 0 });
    expect(events.map(({ type }) => type)).toEqual(['rotated']);
  });

  it.each([0, 3])('a LISTEN connection has time to be replaced; others are idle: %i', async (others) => {
    const { pool, rotate } = await open();
    const idle = await Promise.all(Array.from({ length: others + 1 }, () => pool.connect()));
    for (const client of idle) client.release();
    const heard: string[] = [];
    let listener: PoolClient | undefined;
    const listen = async () => {
      const before = listener;
      const client = await pool.connect();
      listener = client;
      client.on('notification', ({ payload }) => heard.push(payload ?? ''));
      client.on('superseded', () => void listen());
      await client.query('listen news');
      before?.release();
    };
    await listen();
    const next = await issue();
    await rotate(next);
    await expect.poll(() => pool.supersededCount).toBe(0);
    await postgres.query(`notify news, 'still here'`);
    await expect.poll(() => heard).toEqual(['still here']);
    listener?.release();
  });

  it('closes and reports connections that are still in use after the drain window', async () => {
    const { pool, first, rotate, events } = await open({ drain: 300 });
    expect(first.need?.drain).toBe(300);
    const client = await pool.connect();
    const failed = client.query('select pg_sleep(20)').catch((error: Error) => error);
    await rotate(await issue());
    await expect
      .poll(() => events.at(-1))
      .toMatchObject({ type: 'drain-timeout', serial: first.credentials.lease.serial, count: 1 });
    expect(await failed).toBeInstanceOf(Error);
    client.release(true);
    await expect.poll(() => first.holds).toBe(0);
  });

  it('closes connections before the lease ends, even within the drain window', async () => {
    const { pool, first, rotate, events } = await open();
    const client = await pool.connect();
    await rotate(await issue());
    first.need?.onEnding?.();
    expect(events.at(-1)).toMatchObject({ type: 'drain-timeout', count: 1 });
    await expect.poll(() => first.holds).toBe(0);
    client.release(true);
  });

  it('uses unverified credentials when the previous ones are about to end', async () => {
    const { pool, first, credentials$ } = await open();
    const late = await issue({ create: false });
    credentials$.next(late.credentials);
    first.need?.onEnding?.();
    await pools.create(late.user, late.credentials.password.reveal());
    expect(await whoami(pool)).toBe(late.user);
  });

  it('a connection attempt during a change of credentials gets a connection of the new ones', async () => {
    const proxy = await startTcpProxy(postgres.port);
    const { pool, first, credentials$ } = await open({ port: proxy.port });
    const held = await pool.connect();
    // Slows down the login.
    proxy.delay(200);
    const late = pool.connect();
    await expect.poll(() => proxy.connections).toBe(2);
    const next = await issue();
    credentials$.next(next.credentials);
    first.need?.onEnding?.();
    expect(await whoami(await late)).toBe(next.user);
    for (const client of [held, await late]) client.release(true);
    await expect.poll(() => first.holds).toBe(0);
    await proxy.close();
  });

  it('made before the first credentials, it connects when they come', async () => {
    const credentials$ = new Subject<DatabaseCredentials>();
    const pool = new RotatingPgPool(credentials$, pools.where);
    pools.add(pool);
    const waiting = whoami(pool);
    const first = await issue();
    credentials$.next(first.credentials);
    expect(await waiting).toBe(first.user);
  });

  it('waits for credentials no longer than for a connection', async () => {
    const pool = new RotatingPgPool(new Subject<DatabaseCredentials>(), {
      ...pools.where,
      connectionTimeoutMillis: 50,
    });
    pools.add(pool);
    await expect(pool.connect()).rejects.toThrow(/timeout|credentials/);
  });

  it('ends with its stream, and releases every lease', async () => {
    const { pool, first, credentials$ } = await open();
    const client = await pool.connect();
    credentials$.complete();
    await expect.poll(() => pool.ending).toBe(true);
    expect(first.holds).toBe(1);
    client.release();
    await expect.poll(() => first.holds).toBe(0);
    await expect.poll(() => connections(first.user)).toBe(0);
  });

  it('is ended by its stream and by its owner, in any order', async () => {
    const { pool, credentials$ } = await open();
    credentials$.complete();
    await expect.poll(() => pool.ending).toBe(true);
    const called = new Promise<void>((resolve) => pool.end(() => resolve()));
    await Promise.all([pool.end(), called]);
    expect(pool.ended).toBe(true);
  });

  it('a connection that breaks without a listener ends no process; its next query fails', async () => {
    const { pool, first } = await open();
    const client = await pool.connect();
    const ended = new Promise((resolve) => client.once('end', () => resolve(undefined)));
    await postgres.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [
      first.user,
    ]);
    await ended;
    await expect(client.query('select 1')).rejects.toThrow();
    client.release();
    expect(await whoami(pool)).toBe(first.user);
  });

  it('accepts credentials in the form of static roles, too', async () => {
    const { credentials } = await issue();
    const data = new Secret({
      username: credentials.username.reveal(),
      password: credentials.password.reveal(),
    });
    const pool = new RotatingPgPool(new BehaviorSubject({ data, lease: credentials.lease }), pools.where);
    pools.add(pool);
    expect(await whoami(pool)).toBe(credentials.username.reveal());
  });

  it.each(['user', 'password', 'connectionString'])('refuses a config that names `%s`', (key) => {
    expect(() => new RotatingPgPool(new Subject(), { [key]: 'canary-x' } as object)).toThrow(
      expect.objectContaining({ code: 'VAULT_CONFIG_INVALID' }),
    );
  });
});
