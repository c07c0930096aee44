import { expect } from 'vitest';
import {
  everywhere,
  ISSUE,
  LOGIN,
  LONG,
  LOOKUP_SELF,
  RENEW,
  RENEW_SELF,
  SECOND,
  simulated,
  type Rules,
} from './rule.js';

const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;
const HOURLY = { ttl: 3_600, maxTtl: 100 * 24 * 3_600 };

/** Rules on clocks. */
export const time: Rules = [
  simulated(
    'A1',
    'a deadline counts from when the request left, not from when the answer came',
    async (world) => {
      const heal = world.vault!.delay(3 * SECOND, { match: /creds/ });
      const life = await world.start({ role: { ttl: 60, maxTtl: 600 } });
      heal();
      const { issuedAt, validUntil } = life.published[0]!.lease;
      expect(validUntil.getTime() - issuedAt.getTime()).toBe(60 * SECOND);
      expect(world.clock!.wall() - issuedAt.getTime()).toBeGreaterThanOrEqual(3 * SECOND);
    },
  ),
  everywhere(
    'A3',
    'a lease of a batch token is clipped by the server, and ends with the token at the latest',
    async (world) => {
      const life = await world.start({ role: LONG, login: { ttl: 5, maxTtl: 600, type: 'batch' } });
      const { issuedAt, validUntil } = life.published[0]!.lease;
      expect(validUntil.getTime() - issuedAt.getTime()).toBeLessThanOrEqual(5 * SECOND);
      // The server's own answer for a lease whose role grants an hour.
      const role = `auth/approle/role/${world.name}`;
      const { operator } = world;
      const { auth } = await operator.api('POST', 'auth/approle/login', {
        role_id: (await operator.api('GET', `${role}/role-id`)).data.role_id,
        secret_id: (await operator.api('POST', `${role}/secret-id`, {})).data.secret_id,
      });
      const raw = await operator.api('GET', world.path, undefined, { token: auth.client_token });
      expect(raw.lease_duration).toBeGreaterThan(0);
      expect(raw.lease_duration).toBeLessThanOrEqual(5);
    },
  ),
  simulated(
    'A4',
    '32 days: no timer overflows, one is pending, and the renewal comes after three weeks',
    async (world) => {
      const life = await world.start({
        role: { ttl: 32 * 24 * 3_600, maxTtl: 90 * 24 * 3_600 },
        login: { period: 3_600 },
      });
      world.clear();
      await world.advance(19 * DAY);
      expect(world.requests(RENEW)).toEqual([]);
      expect(world.clock!.pending).toBe(1);
      await world.advance(5 * DAY);
      expect(life.of('renewed')).toHaveLength(1);
      expect(life.of('expired')).toEqual([]);
    },
  ),
  simulated(
    'A5',
    'stopped past the deadline: one look-up, then a new lease; no expired one is returned',
    async (world) => {
      const life = await world.start({ role: { ttl: 60, maxTtl: 600 }, login: HOURLY });
      world.clear();
      const resumed = world.clock!.stall(5 * 60 * SECOND);
      expect(life.connection.leases.current(world.path)).toBeUndefined();
      await resumed;
      await world.until(() => life.published.length > 1, 5 * SECOND);
      expect(world.requests(RENEW)).toHaveLength(1);
      expect(world.requests(ISSUE)).toHaveLength(1);
      expect(world.requests(LOGIN)).toEqual([]);
      expect(await world.isValid(life.published[1]!)).toBe(true);
      expect(life.of('expired')).toHaveLength(1);
    },
  ),
  simulated(
    'A5',
    'suspended past the deadlines of lease and token: both are checked, both replaced',
    async (world) => {
      const life = await world.start({ role: { ttl: 60, maxTtl: 600 }, login: { ttl: 120, maxTtl: 600 } });
      world.clear();
      await world.clock!.suspend(HOUR);
      expect(life.connection.leases.current(world.path)).toBeUndefined();
      await world.until(() => life.published.length > 1, 35 * SECOND);
      expect(world.requests(LOGIN)).toHaveLength(1);
      expect(world.requests(ISSUE)).toHaveLength(1);
      expect(await world.isValid(life.published[1]!)).toBe(true);
    },
  ),
  simulated('A6', 'the wall clock is set an hour ahead: checked, found valid, and kept', async (world) => {
    const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, login: { ttl: 600, maxTtl: 6_000 } });
    world.clear();
    world.clock!.stepWall(HOUR);
    await world.advance(40 * SECOND);
    expect(life.published).toHaveLength(1);
    expect(world.requests(ISSUE)).toEqual([]);
    expect(world.requests(LOGIN)).toEqual([]);
    expect(world.requests().length).toBeLessThanOrEqual(3);
    expect(life.connection.leases.current(world.path)).toBeDefined();
  }),
  simulated('A6', 'the wall clock is set an hour back: no deadline moves', async (world) => {
    const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, login: HOURLY });
    world.clear();
    world.clock!.stepWall(-HOUR);
    await world.advance(450 * SECOND);
    expect(world.requests(RENEW)).toHaveLength(1);
    expect(life.of('expired')).toEqual([]);
  }),
  simulated('A9', 'no timer is left after the close', async (world) => {
    const life = await world.start({ role: LONG });
    await world.settled(life.connection.close());
    expect(world.clock!.pending).toBe(0);
  }),
  simulated('B4', 'a renewal whose answer names another lease is ignored', async (world) => {
    const life = await world.start({ role: { ttl: 60, maxTtl: 600 } });
    world.network.answer(
      RENEW,
      200,
      JSON.stringify({
        lease_id: 'database/creds/app/other',
        lease_duration: 3_600,
        renewable: true,
        data: null,
      }),
    );
    await world.until(() => life.of('renewal-failed').length > 0, 50 * SECOND);
    expect(life.of('renewed')).toEqual([]);
  }),
  simulated('B5', 'the granted TTL counts, not the requested increment', async (world) => {
    const life = await world.start({ role: { ttl: 60, maxTtl: 90 } });
    await world.until(() => life.of('renewed').length > 0, 50 * SECOND);
    const [renewed] = life.of('renewed');
    expect(renewed!.validUntil.getTime() - renewed!.at.getTime()).toBeLessThan(55 * SECOND);
  }),
  simulated('B5', 'a warning of the server is reported once', async (world) => {
    const role = { ttl: 60, maxTtl: 6_000 };
    const life = await world.start({ role });
    const lease = world.vault!.liveLeases[0]!.id;
    const answer = { lease_id: lease, lease_duration: 60, renewable: true, data: null };
    world.vault!.answer(200, { ...answer, warnings: ['this engine will go'] }, { match: /leases\/renew/ });
    await world.until(() => life.of('renewed').length > 2, 200 * SECOND);
    const warnings = life.of('warning').filter(({ message }) => message === 'this engine will go');
    expect(warnings).toMatchObject([{ code: 'server-warning', path: world.path }]);
  }),
  simulated('B8', 'a lease that is not renewable is replaced late, and never renewed', async (world) => {
    world.network.answer(
      ISSUE,
      200,
      JSON.stringify({
        lease_id: 'database/creds/app/x',
        lease_duration: 100,
        renewable: false,
        data: { username: 'u', password: 'p' },
      }),
    );
    const life = await world.start({ role: { ttl: 100, maxTtl: 600 } });
    world.network.restore();
    await world.until(() => life.of('rotated').length > 0, 100 * SECOND);
    const waited = life.of('rotated')[0]!.at.getTime() - life.of('issued')[0]!.at.getTime();
    expect(waited).toBeGreaterThan(84 * SECOND);
    expect(waited).toBeLessThan(96 * SECOND);
    expect(world.requests(RENEW)).toEqual([]);
  }),
  simulated('B14', 'a use-limited token is not renewed with its last use', async (world) => {
    const life = await world.start({ role: LONG, login: { ttl: 60, maxTtl: 600, uses: 3 } });
    await world.until(() => life.of('login').length > 1, 100 * SECOND);
    const used = world.vault!.history.filter(({ token }) => token === 2);
    expect(used.length).toBeLessThanOrEqual(2);
    expect(world.requests(LOOKUP_SELF)).toEqual([]);
    expect(world.requests(RENEW_SELF).length).toBeLessThanOrEqual(1);
  }),
];
