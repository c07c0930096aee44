import { once } from 'node:events';
import type { PoolClient } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { failure } from '../support/issued.js';
import { ended, PgPools, whoami } from '../support/pg-pools.js';

const DRAIN = 200;

describe('a connection kept past the drain window', () => {
  let pools: PgPools;
  beforeAll(async () => {
    pools = await PgPools.start();
  });
  afterEach(() => pools.end());
  afterAll(() => pools.stop());

  it("a listener gets 'error', then 'end', as if the server had ended it; the recipe of the docs reconnects", async () => {
    const { pool, rotate } = await pools.open({ drain: DRAIN });
    const heard: string[] = [];
    const seen: unknown[] = [];
    let connects = 0;
    let current: PoolClient | undefined;
    // The pattern of graphile-worker and pg-listen, which handle no other event.
    const listen = async () => {
      const client = await pool.connect();
      connects++;
      current = client;
      client.on('notification', ({ payload }) => heard.push(payload ?? ''));
      client.on('end', () => seen.push('end'));
      client.once('error', (error) => {
        seen.push(error);
        client.release(true);
        void listen();
      });
      await client.query('listen jobs');
    };
    await listen();
    const next = await pools.issue();
    await rotate(next);
    await expect.poll(() => connects).toBe(2);
    await expect.poll(() => seen.length).toBe(2);
    expect(seen).toEqual([
      expect.objectContaining({ code: 'VAULT_CREDENTIALS_EXPIRED', hint: expect.any(String) as string }),
      'end',
    ]);
    expect(String(seen)).not.toContain('canary');
    await expect.poll(() => pool.supersededCount).toBe(0);
    await pools.postgres.query(`notify jobs, 'a job'`);
    await expect.poll(() => heard).toEqual(['a job']);
    current?.release(true);
  });

  it('the holder of an advisory lock is notified of its loss', async () => {
    const { pool, rotate } = await pools.open({ drain: DRAIN });
    const client = await pool.connect();
    await client.query('select pg_advisory_lock(7)');
    const lost = once(client, 'error');
    await rotate(await pools.issue());
    expect(await lost).toMatchObject([{ code: 'VAULT_CREDENTIALS_EXPIRED' }]);
    const { rows } = await pool.query('select pg_try_advisory_lock(7) as got');
    expect(rows).toEqual([{ got: true }]);
    client.release();
  });

  it('a connection without listeners ends no process, and a running query fails once', async () => {
    const { pool, rotate } = await pools.open({ drain: DRAIN });
    const silent = await pool.connect();
    const gone = ended(silent);
    const running = failure(pool.query('select pg_sleep(20)'));
    await expect.poll(() => pool.totalCount).toBe(2);
    await rotate(await pools.issue());
    expect(await running).toMatchObject({ message: expect.stringMatching(/closed|terminated/) as string });
    await gone;
    expect(await failure(silent.query('select 1'))).toBeInstanceOf(Error);
  });

  it('a connection that is never released leaves the pool; a late release has no effect', async () => {
    const { pool, rotate } = await pools.open({ drain: DRAIN, max: 2, connectionTimeoutMillis: 2_000 });
    const kept: PoolClient[] = [];
    const dones: ((error?: Error) => void)[] = [];
    for (let rotation = 0; rotation < 3; rotation++) {
      kept.push(await pool.connect());
      pool.connect((_error, _client, done) => dones.push(done as () => void));
      const waiting = whoami(pool);
      await expect.poll(() => dones.length).toBe(rotation + 1);
      const next = await pools.issue();
      await rotate(next);
      expect(await waiting).toBe(next.user);
      await expect.poll(() => pool.supersededCount).toBe(0);
      expect(pool.totalCount).toBeLessThanOrEqual(2);
    }
    const users = () => pools.postgres.query(`select 1 from pg_stat_activity where usename like 'leased%'`);
    await expect.poll(async () => (await users()).rowCount).toBeLessThanOrEqual(2);
    for (const client of kept) client.release();
    for (const done of dones) done();
    for (const client of kept) client.release(new Error('once more'));
    expect(pool.totalCount).toBeLessThanOrEqual(2);
    const both = await Promise.all([pool.connect(), pool.connect()]);
    expect(pool.totalCount).toBe(2);
    for (const client of both) client.release();
    await pool.end();
    expect(pool.totalCount).toBe(0);
  });

  it('a connection that the server closes in use leaves the pool, also if it is never released', async () => {
    const { pool, first } = await pools.open({ drain: DRAIN, max: 1 });
    const broken = await pool.connect();
    const gone = ended(broken);
    await pools.postgres.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [
      first.user,
    ]);
    await gone;
    expect(await whoami(pool)).toBe(first.user);
    await pool.end();
    broken.release();
    expect(pool.totalCount).toBe(0);
  });
});
