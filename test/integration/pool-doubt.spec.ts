import type { RotatingPgPoolConfig } from 'nestjs-vault/pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PgPools, whoami } from '../support/pg-pools.js';
import type { PostgresServer } from '../support/servers.mjs';

describe('a rotating pool whose statements are denied', () => {
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

  it('a removed user: new connections wait for the next credentials, without an error', async () => {
    const { pool, first, rotate } = await open();
    await postgres.query(`drop role ${first.user}`);
    for (const client of [await pool.connect()]) client.release(true);
    const waiting = [whoami(pool), whoami(pool)];
    await expect.poll(() => first.refused).toEqual([true]);
    const next = await issue();
    await rotate(next);
    expect(await Promise.all(waiting)).toEqual([next.user, next.user]);
    expect(first.refused).toEqual([true]);
  });

  it.each(['28P01', '28000', '42501', '42704'])(
    'SQLSTATE %s is a reason to check the credentials',
    async (state) => {
      const { pool, first } = await open();
      const raise = `do $$ begin raise 'denied' using errcode = '${state}'; end $$`;
      await expect(pool.query(raise)).rejects.toMatchObject({ code: state });
      // The credentials still log in.
      await expect.poll(() => first.refused).toEqual([false]);
    },
  );

  it('lost privileges: the credentials are checked at intervals, not at each error', async () => {
    const { pool, first } = await open();
    await postgres.query('create table private (id int)');
    const denied = () => pool.query('select * from private').catch(({ code }: { code: string }) => code);
    expect(await Promise.all(Array.from({ length: 50 }, denied))).toEqual(Array(50).fill('42501'));
    // The login still works, so only the server knows whether the lease is valid; a grant may be missing for good.
    await expect.poll(() => first.refused.length).toBeGreaterThan(0);
    await Promise.all(Array.from({ length: 50 }, denied));
    // The second check comes after a second at the earliest, the next one after two.
    expect(first.refused.length).toBeLessThan(4);
    expect(new Set(first.refused)).toEqual(new Set([false]));
  });

  it('permanently denied statements do not hide a removed user, even without new logins', async () => {
    const { pool, first } = await open();
    // On its own client, as the pool removes a connection whose query failed.
    const client = await pool.connect();
    const denied = async () => {
      await expect(client.query('select * from pg_authid')).rejects.toMatchObject({ code: '42501' });
      return first.refused;
    };
    // Each check comes later than the one before.
    await expect.poll(denied, { timeout: 5_000 }).toEqual([false, false]);
    await postgres.query(`drop role ${first.user}`);
    await expect.poll(denied, { timeout: 5_000 }).toEqual([false, false, true]);
    client.release();
  });

  it('runs no query on earlier connections after the database has denied one of them a statement', async () => {
    const { pool, rotate } = await open({ max: 5 });
    const clients = await Promise.all([1, 2].map(() => pool.connect()));
    for (const client of clients) client.release();
    await expect(pool.query('select * from pg_authid')).rejects.toMatchObject({ code: '42501' });
    const next = await issue();
    const users: Promise<string>[] = [];
    pool.on('rotation', ({ type }) => {
      if (type === 'rotated') users.push(whoami(pool), whoami(pool));
    });
    await rotate(next);
    expect(await Promise.all(users)).toEqual([next.user, next.user]);
  });
});
