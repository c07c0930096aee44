import { expect } from 'vitest';
import { ISSUE, LOGIN, LONG, SECOND, simulated, type Rules } from './rule.js';
import type { Life, World } from '../world.js';

const FAILS = JSON.stringify({ errors: ['internal error'] });
const REFUSED = JSON.stringify({ errors: ['invalid role or secret ID'] });

/** Checks that the first credentials still work, and have worked all the time. */
async function keepsTheFirst(world: World, life: Life): Promise<void> {
  expect(life.published).toHaveLength(1);
  expect(life.of('expired')).toEqual([]);
  expect(await world.isValid(life.published[0]!)).toBe(true);
}

/** Rules near the max TTL, and in cases that only look like it. */
export const maxTtl: Rules = [
  simulated(
    'B7',
    'an operator lowers a TTL: this is no max TTL; renewals go on, and nothing is issued',
    async (world) => {
      const life = await world.start({ role: { ttl: 3_600, maxTtl: 100_000 } });
      for (const defaultTtl of [600, 60]) {
        world.vault!.databaseRole('app', { defaultTtl, maxTtl: 100_000 });
        await world.advance(3_600 * SECOND);
      }
      await keepsTheFirst(world, life);
      expect(world.requests(ISSUE)).toHaveLength(1);
      expect(life.of('renewed').every(({ capped }) => !capped)).toBe(true);
    },
  ),
  simulated('B7', 'an operator lowers a token TTL: renewals go on, without a login', async (world) => {
    const life = await world.start({ role: LONG, login: { ttl: 3_600, maxTtl: 100_000 } });
    world.vault!.appRole('app', { tokenTtl: 60, tokenMaxTtl: 100_000 });
    await world.advance(2 * 3_600 * SECOND);
    await keepsTheFirst(world, life);
    expect(world.requests(LOGIN)).toHaveLength(1);
  }),
  simulated(
    'E4',
    'the rotation at the max TTL fails: renewed as long as the server grants anything, then not again',
    async (world) => {
      const life = await world.start({ role: { ttl: 60, maxTtl: 90 } });
      world.network.answer(ISSUE, 500, FAILS);
      await world.until(() => life.of('rotation-failed').length > 0, 60 * SECOND);
      expect(life.of('rotation-failed')[0]).toMatchObject({ reason: 'max-ttl' });
      world.vault!.databaseRole('app', { defaultTtl: 60, maxTtl: 600 });
      await world.advance(400 * SECOND);
      await keepsTheFirst(world, life);
      expect(life.connection.leases.statusOf(world.path)).toMatchObject({ state: 'valid' });
      await world.until(() => life.of('expired').length > 0, 250 * SECOND);
      const capped = life.of('renewed').filter((event) => event.capped);
      // The first of each pair leads near the max TTL, the second to it.
      expect(capped.length).toBeLessThanOrEqual(4);
    },
  ),
  simulated(
    'D3',
    'nothing can be issued with the new token: leases of the old one are renewed while it is valid',
    async (world) => {
      const life = await world.start({ role: { ttl: 20, maxTtl: 3_600 }, login: { ttl: 300, maxTtl: 500 } });
      await world.until(() => life.of('token-renewed').length > 0, 300 * SECOND);
      world.network.answer(ISSUE, 500, FAILS);
      await world.until(() => life.of('login').length > 1, 300 * SECOND);
      await world.advance(80 * SECOND);
      await keepsTheFirst(world, life);
      world.network.restore();
      await world.until(() => life.of('rotated').length > 0, 20 * SECOND);
      expect(life.of('rotated')[0]).toMatchObject({ reason: 'token' });
    },
  ),
  simulated(
    'H5',
    'a token seems near its max TTL and the login is refused: renewed as long as the server grants anything',
    async (world) => {
      const life = await world.start({ role: LONG, login: { ttl: 3_600, maxTtl: 100_000 } });
      world.network.answer(LOGIN, 400, REFUSED);
      for (const [index, tokenTtl] of [600, 60].entries()) {
        world.vault!.appRole('app', { tokenTtl, tokenMaxTtl: 100_000 });
        await world.until(() => life.of('token-renewed').length > index, 3_600 * SECOND);
      }
      expect(life.of('token-renewed').at(-1)).toMatchObject({ capped: true });
      await world.advance(600 * SECOND);
      await keepsTheFirst(world, life);
      expect(life.of('login-failed').length).toBeGreaterThan(0);
      expect(life.connection.status.session).toMatchObject({ state: 'valid', sequence: 1 });
    },
  ),
  simulated('A8', 'the last second before the max TTL is not spent on a renewal', async (world) => {
    const life = await world.start({ role: { ttl: 2, maxTtl: 4 } });
    await world.advance(600 * SECOND);
    expect(life.of('expired')).toEqual([]);
    expect(life.of('rotated').length).toBeLessThanOrEqual(250);
  }),
];
