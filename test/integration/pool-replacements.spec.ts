import { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { RotatingPgPoolConfig } from 'nestjs-vault/pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PgPools, whoami } from '../support/pg-pools.js';
import type { PostgresServer } from '../support/servers.mjs';

describe('how a rotating pool replaces its connections', () => {
  let pools: PgPools;
  let postgres: PostgresServer;

  beforeAll(async () => {
    pools = await PgPools.start();
    ({ postgres } = pools);
  });
  afterAll(() => pools?.stop());
  afterEach(() => pools?.end());

  const issue = () => pools.issue();
  const open = (options?: RotatingPgPoolConfig) => pools.open(options);
  const connections = (user: string) => pools.connections(user);

  it('has new connections ready before the idle ones of earlier credentials go', async () => {
    const { pool, first, rotate } = await open({ max: 5 });
    const clients = await Promise.all([1, 2].map(() => pool.connect()));
    for (const client of clients) client.release();
    const ready: number[] = [];
    pool.on('remove', () => ready.push(pool.idleCount));
    const next = await issue();
    await rotate(next);
    await expect.poll(() => connections(first.user)).toBe(0);
    expect(ready).toEqual([2, 2]);
    expect(await connections(next.user)).toBe(2);
  });

  it('replaces them one at a time if the pool is full', async () => {
    const { pool, first, rotate } = await open({ max: 4 });
    const clients = await Promise.all([1, 2, 3, 4].map(() => pool.connect()));
    for (const client of clients) client.release();
    const ready: number[] = [];
    pool.on('remove', () => ready.push(pool.idleCount));
    const next = await issue();
    await rotate(next);
    await expect.poll(() => connections(next.user)).toBe(4);
    await expect.poll(() => connections(first.user)).toBe(0);
    expect(ready).toEqual([3, 3, 3, 3]);
  });

  it('replaces a connection in use when it is released, and none twice', async () => {
    const { pool, first, rotate } = await open({ max: 10 });
    const [one, ...others] = await Promise.all([1, 2, 3, 4].map(() => pool.connect()));
    for (const client of others) client.release();
    const borrowed: Promise<unknown>[] = [];
    // All idle connections, while the first of them is being replaced, and its replacement.
    pool.once('connect', () => {
      for (let left = others.length; left >= 0; left--) borrowed.push(pool.query('select pg_sleep(0.2)'));
    });
    const next = await issue();
    await rotate(next);
    await expect.poll(() => connections(next.user)).toBe(3);
    one?.release();
    await expect.poll(() => pool.idleCount).toBe(4);
    await Promise.all(borrowed);
    await expect.poll(() => connections(first.user)).toBe(0);
    expect(pool).toMatchObject({ totalCount: 4, idleCount: 4 });
    expect(await connections(next.user)).toBe(4);
  });

  it('lends idle ones for some time if no others can be made, then closes them', async () => {
    const { pool, first, rotate } = await open({ max: 4, drain: 4_000 });
    const clients = await Promise.all([1, 2, 3, 4].map(() => pool.connect()));
    for (const client of clients) client.release();
    const next = await issue();
    await postgres.query(`alter role ${next.user} connection limit 1`);
    await rotate(next);
    await expect.poll(() => connections(next.user)).toBe(1);
    const users = await Promise.all([1, 2, 3].map(() => whoami(pool)));
    expect(users.toSorted()).toEqual([first.user, first.user, next.user]);
    await expect.poll(() => connections(first.user), { timeout: 2_000 }).toBe(0);
    expect(await whoami(pool)).toBe(next.user);
  });

  it('the same number is ready afterwards, even if logins take longer than the handover', async () => {
    const { pool, first, rotate } = await open({ max: 10, drain: 2_000 });
    const clients = await Promise.all([1, 2, 3, 4].map(() => pool.connect()));
    for (const client of clients) client.release();
    // A login takes 0.3 s, and the handover of idle connections lasts for 0.5 s.
    pool.on('connect', (client) => void client.query('select pg_sleep(0.3)'));
    const next = await issue();
    await rotate(next);
    await expect.poll(() => pool.idleCount, { timeout: 5_000 }).toBe(4);
    await expect.poll(() => connections(first.user), { timeout: 5_000 }).toBe(0);
    await expect.poll(() => connections(next.user), { timeout: 5_000 }).toBe(4);
  });

  it('a busy pool opens hardly more connections at a rotation', async () => {
    const { pool, first, rotate } = await open({ max: 20 });
    let done = false;
    let most = 0;
    const workers = Array.from({ length: 6 }, async () => {
      while (!done) {
        await pool.query('select pg_sleep(0.01)');
        most = Math.max(most, pool.totalCount);
      }
    });
    await expect.poll(() => pool.totalCount).toBe(6);
    await rotate(await issue());
    await expect.poll(() => connections(first.user)).toBe(0);
    await pause(100);
    done = true;
    await Promise.all(workers);
    expect(most).toBeLessThan(10);
  });

  it('a synchronous error of a driver ends neither the process nor later rotations', async () => {
    let allowed = Infinity;
    const stream = () => {
      if (allowed-- <= 0) throw new Error('no instance of it');
      return new Socket();
    };
    const { pool, first, rotate } = await open({ drain: 400, stream });
    // The verification.
    allowed = 1;
    const second = await issue();
    await rotate(second);
    await expect.poll(() => connections(first.user)).toBe(0);
    allowed = Infinity;
    expect(await whoami(pool)).toBe(second.user);
    const third = await issue();
    await rotate(third);
    await expect.poll(() => connections(second.user)).toBe(0);
    expect(await connections(third.user)).toBe(1);
  });

  it.each([2, 6])('never opens more connections than allowed: %i', async (max) => {
    const { pool, first, rotate } = await open({ max });
    const clients = await Promise.all([1, 2].map(() => pool.connect()));
    for (const client of clients) client.release();
    let most = 0;
    const burst: Promise<unknown>[] = [];
    pool.on('connect', () => {
      most = Math.max(most, pool.totalCount);
      // During the replacement of idle connections.
      if (burst.length === 0)
        burst.push(...Array.from({ length: 10 }, () => pool.query('select pg_sleep(0.05)')));
    });
    await rotate(await issue());
    await expect.poll(() => connections(first.user)).toBe(0);
    await Promise.all([...burst, pool.query('select 1')]);
    expect(most).toBeLessThanOrEqual(max);
  });
});
