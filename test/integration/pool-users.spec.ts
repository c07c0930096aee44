import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Issued } from '../support/issued.js';
import { ended, PgPools, whoami } from '../support/pg-pools.js';

describe('the users of a rotating pool', () => {
  let pools: PgPools;

  beforeAll(async () => {
    pools = await PgPools.start();
  });
  afterAll(() => pools?.stop());
  afterEach(() => pools?.end());

  const issue = (options?: { of: Issued }) => pools.issue(options);
  const own = ({ user }: Issued) =>
    pools.postgres.query(`create table owned_${user} (id int); alter table owned_${user} owner to ${user}`);

  it('warns if a user of an earlier lease owns an object, as it cannot be dropped', async () => {
    const { first, rotate, events } = await pools.open();
    await own(first);
    await rotate(await issue());
    expect(events).toContainEqual(
      expect.objectContaining({
        type: 'warning',
        message: expect.stringMatching(/owns 1 database object.*SET ROLE/),
      }),
    );
  });

  it('warns when it ends, too, as a job that migrates never rotates; the lease is held until then', async () => {
    const { pool, first, events } = await pools.open();
    await own(first);
    const held: number[] = [];
    pool.on('rotation', () => held.push(first.holds));
    await pool.end();
    await expect.poll(() => first.holds).toBe(0);
    expect(events).toMatchObject([{ type: 'warning', message: expect.stringMatching(/owns 1 database/) }]);
    expect(pool.counters).toMatchObject({ warning: 1, rotated: 0 });
    expect(held).toEqual([1]);
    expect(await pools.connections(first.user)).toBe(0);
  });

  it('the end is no failure if the user was removed before', async () => {
    const { pool, first, events } = await pools.open();
    await pools.postgres.query(`drop role ${first.user}`);
    await pool.end();
    await expect.poll(() => first.holds).toBe(0);
    expect(events).toEqual([]);
  });

  it('a static user, whose password changes, may own objects', async () => {
    const { pool, first, rotate, events } = await pools.open();
    await own(first);
    await rotate(await issue({ of: first }));
    expect(await whoami(pool)).toBe(first.user);
    await pool.end();
    expect(events.map(({ type }) => type)).toEqual(['rotated']);
  });

  it('a static user: idle connections are replaced, those in use are not cut off', async () => {
    const { pool, first, rotate, events } = await pools.open({ drain: 100 });
    const [kept, idle] = await Promise.all([pool.connect(), pool.connect()]);
    const superseded: unknown[] = [];
    kept.on('superseded', (until) => superseded.push(until));
    idle.release();
    const pidOf = async (on: typeof pool | typeof kept) =>
      (await on.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid;
    const before = await pidOf(pool);
    await rotate(await issue({ of: first }));
    await expect.poll(() => pidOf(pool)).not.toBe(before);
    // Longer than the drain window, as for the connection of another user.
    const other = await pools.open({ drain: 200 });
    const lent = await other.pool.connect();
    await other.rotate(await issue());
    await ended(lent);
    lent.release(true);
    expect(await whoami(kept)).toBe(first.user);
    expect(superseded).toEqual([]);
    expect(first.holds).toBe(1);
    kept.release();
    await expect.poll(() => first.holds).toBe(0);
    expect(events.map(({ type }) => type)).toEqual(['rotated']);
  });

  it('connections in use are cut off if another user comes later', async () => {
    const { pool, first, rotate, events } = await pools.open({ drain: 100 });
    const kept = await pool.connect();
    await rotate(await issue({ of: first }));
    const superseded = once(kept, 'superseded');
    await rotate(await issue());
    expect(await superseded).toEqual([expect.any(Date)]);
    await ended(kept);
    kept.release(true);
    await expect.poll(() => first.holds).toBe(0);
    expect(events.map(({ type }) => type)).toEqual(['rotated', 'rotated', 'drain-timeout']);
    expect(pool.counters).toEqual({
      rotated: 2,
      'verification-failed': 0,
      refused: 0,
      'drain-timeout': 1,
      warning: 0,
    });
  });
});
