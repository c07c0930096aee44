import { expect } from 'vitest';
import type { World } from '../world.js';
import { LONG, RENEW, SECOND, simulated, type Rules } from './rule.js';

const HOURLY = { ttl: 3_600, maxTtl: 100 * 24 * 3_600 };

/** The largest number of concurrent requests, if each takes so many milliseconds. */
function mostAtOnce(world: World, path: RegExp, takes: number): number {
  const times = world.requests(path).map(({ at }) => at);
  return Math.max(...times.map((at) => times.filter((other) => other > at - takes && other <= at).length));
}

/** Rules on coincidences: renewals that are slow, late, or due at the same moment. */
export const load: Rules = [
  simulated('B9', 'too little time is left for another renewal: rotated, before any error', async (world) => {
    const life = await world.start({ role: { ttl: 60, maxTtl: 63 }, login: HOURLY });
    // The process is suspended until shortly before the end: the renewal is late, and grants hardly anything.
    const resumed = world.clock!.stall(58 * SECOND);
    await resumed;
    await world.until(() => life.of('rotated').length > 0, SECOND);
    expect(world.requests(RENEW)).toHaveLength(1);
    const [renewed] = life.of('renewed');
    expect(renewed!.validUntil.getTime() - renewed!.at.getTime()).toBeLessThanOrEqual(6 * SECOND);
    expect(life.of('rotated')[0]).toMatchObject({ reason: 'max-ttl' });
    expect(await world.isValid(life.published[0]!)).toBe(true);
    expect([...life.of('renewal-failed'), ...life.of('expired')]).toEqual([]);
  }),
  simulated('B11', 'one renewal of a lease at a time, for any number of causes', async (world) => {
    const life = await world.start({ role: { ttl: 60, maxTtl: 600 }, login: HOURLY });
    const { leases } = life.connection;
    const { lease } = life.published[0]!;
    world.vault!.delay(5 * SECOND, { match: /leases\/renew/ });
    await world.until(() => world.requests(RENEW).length > 0, 60 * SECOND);
    // The lease is rejected, then seems expired by the wall clock, and again after a suspension.
    const asked = [lease.reportRejected!({ confirmed: false }), leases.get(world.path)];
    await world.advance(SECOND / 2);
    world.clock!.stepWall(30 * SECOND);
    asked.push(lease.reportRejected!({ confirmed: false }), leases.get(world.path), leases.get(world.path));
    await world.advance(SECOND);
    expect(leases.current(world.path)).toBeUndefined();
    await world.clock!.suspend(25 * SECOND);
    await world.advance(3 * SECOND);
    expect(world.requests(RENEW)).toHaveLength(1);
    await world.settled(Promise.allSettled(asked));
    await world.advance(30 * SECOND);
    expect(mostAtOnce(world, RENEW, 5 * SECOND)).toBe(1);
    expect(life.of('renewed').length).toBeGreaterThan(0);
    expect(leases.current(world.path)).toBeDefined();
  }),
  simulated('B12', 'no more issues at a time than `concurrency` allows', async (world) => {
    const options = { concurrency: 4 };
    const life = await world.start({ role: LONG, watch: false, options, login: HOURLY });
    world.vault!.delay(SECOND, { match: /creds/ });
    await fortyLeases(world, life.connection.leases);
    expect(mostAtOnce(world, /creds/, SECOND)).toBe(4);
  }),
  simulated('B12', 'forty renewals due at once: eight at a time, and all of them in time', async (world) => {
    const options = { renewal: { jitter: 0 } };
    const life = await world.start({ role: LONG, watch: false, options, login: HOURLY });
    await fortyLeases(world, life.connection.leases);
    world.clear();
    world.vault!.delay(SECOND, { match: /leases\/renew/ });
    await world.advance(50 * SECOND);
    expect(world.requests(RENEW)).toHaveLength(40);
    expect(mostAtOnce(world, RENEW, SECOND)).toBe(8);
    expect(life.of('renewed')).toHaveLength(40);
    expect([...life.of('renewal-failed'), ...life.of('expired')]).toEqual([]);
  }),
];

async function fortyLeases(world: World, leases: { get(path: string, timeout: number): Promise<unknown> }) {
  const all = Array.from({ length: 40 }, (_, index) => {
    world.vault!.databaseRole(`r${index}`, { defaultTtl: 60, maxTtl: 600 });
    return leases.get(`database/creds/r${index}`, 60 * SECOND);
  });
  await world.settled(Promise.all(all));
}
