import type { RotatingPoolConfig } from 'nestjs-vault/pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PgPools, whoami } from '../support/pg-pools.js';
import type { PostgresServer } from '../support/servers.mjs';

describe('a rotating pool that is denied something', () => {
  let pools: PgPools;
  let postgres: PostgresServer;

  beforeAll(async () => {
    pools = await PgPools.start();
    ({ postgres } = pools);
  });
  afterAll(() => pools?.stop());
  afterEach(() => pools?.end());

  const issue = () => pools.issue();
  const open = (options?: RotatingPoolConfig) => pools.open(options);

  it('a user who is gone: whoever connects waits for the next one, and nobody sees an error', async () => {
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
      const told = `do $$ begin raise 'denied' using errcode = '${state}'; end $$`;
      await expect(pool.query(told)).rejects.toMatchObject({ code: state });
      // They log in as ever.
      await expect.poll(() => first.refused).toEqual([false]);
    },
  );

  it('lost privileges: the credentials are checked once in a while, not at each error', async () => {
    const { pool, first } = await open();
    await postgres.query('create table private (id int)');
    const denied = () => pool.query('select * from private').catch(({ code }: { code: string }) => code);
    expect(await Promise.all(Array.from({ length: 50 }, denied))).toEqual(Array(50).fill('42501'));
    // They still log in, so whether the lease lives is the question; a grant may be missing for good.
    await expect.poll(() => first.refused.length).toBeGreaterThan(0);
    await Promise.all(Array.from({ length: 50 }, denied));
    // The first check again after a second at the earliest, the next one after two.
    expect(first.refused.length).toBeLessThan(4);
    expect(new Set(first.refused)).toEqual(new Set([false]));
  });

  it('statements that are denied for good do not hide a user who is gone, though nobody logs in', async () => {
    const { pool, first } = await open();
    // By itself, as the pool gives up a connection whose query failed.
    const client = await pool.connect();
    const denied = async () => {
      await expect(client.query('select * from pg_authid')).rejects.toMatchObject({ code: '42501' });
      return first.refused;
    };
    // Each is checked later than the one before.
    await expect.poll(denied, { timeout: 5_000 }).toEqual([false, false]);
    await postgres.query(`drop role ${first.user}`);
    await expect.poll(denied, { timeout: 5_000 }).toEqual([false, false, true]);
    client.release();
  });

  it('lets no query run on earlier ones any more, where the database has denied one of them something', async () => {
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
