import { expect } from 'vitest';
import { token } from '../../../lib/index.js';
import { everywhere, ISSUE, LOGIN, LONG, RENEW, RENEW_SELF, SECOND, type Rules } from './rule.js';

export const renewing: Rules = [
  everywhere('A2', 'a lease ends with its token, for any TTL that the server reports', async (world) => {
    const life = await world.start({ role: LONG, login: { ttl: 4, maxTtl: 6 } });
    const [first] = life.published;
    expect(first!.lease.validUntil.getTime() - first!.lease.issuedAt.getTime()).toBeLessThanOrEqual(
      4 * SECOND,
    );
    for (let passed = 0; passed < 10; passed++) {
      await world.advance(SECOND);
      const current = life.connection.leases.current<{ username: string; password: string }>(world.path);
      expect(await world.isValid(current!)).toBe(true);
    }
    expect(life.of('expired')).toEqual([]);
  }),
  everywhere(
    'A7',
    'a secret without a lease is not expired, and nothing is scheduled for it',
    async (world) => {
      const life = await world.start({ role: LONG, watch: false });
      // Any readable path without a lease: here the token's own description.
      const path = 'auth/token/lookup-self';
      await life.connection.leases.get(path);
      world.clear();
      await world.advance(3 * SECOND);
      expect(world.requests()).toEqual([]);
      expect(life.connection.leases.statusOf(path)).toMatchObject({
        state: 'valid',
        next: { action: 'none' },
      });
    },
  ),
  everywhere('A8', 'TTLs of 2 s are renewed and rotated without a gap', async (world) => {
    const life = await world.start({ role: { ttl: 2, maxTtl: 4 } });
    await world.advance(12 * SECOND);
    expect(life.of('expired')).toEqual([]);
    expect(life.of('rotated').length).toBeGreaterThanOrEqual(2);
    expect(world.requests(ISSUE).length).toBeLessThanOrEqual(8);
  }),
  everywhere('B1', 'renewed at a jittered two thirds of the granted TTL', async (world) => {
    const life = await world.start({ role: { ttl: 6, maxTtl: 600 } });
    await world.until(() => life.of('renewed').length > 1, 12 * SECOND);
    const [issued, first, second] = [...life.of('issued'), ...life.of('renewed')].map(({ at }) =>
      at.getTime(),
    );
    for (const wait of [first! - issued!, second! - first!]) {
      expect(wait).toBeGreaterThan(0.6 * 6 * SECOND);
      expect(wait).toBeLessThan(0.75 * 6 * SECOND);
    }
  }),
  everywhere('B2', 'a new lease is not renewed at once', async (world) => {
    await world.start({ role: { ttl: 6, maxTtl: 600 }, login: { ttl: 6, maxTtl: 600 } });
    world.clear();
    await world.advance(3 * SECOND);
    expect(world.requests()).toEqual([]);
  }),
  everywhere('B3', 'a renewal changes no data and emits nothing', async (world) => {
    // Long enough for a second attempt, should a busy server fail the first.
    const life = await world.start({ role: { ttl: 6, maxTtl: 600 } });
    await world.until(() => life.of('renewed').length > 0, 7 * SECOND);
    expect(life.published).toHaveLength(1);
    const current = life.connection.leases.current(world.path)!;
    expect(current.data).toBe(life.published[0]!.data);
    expect(current.lease.validUntil.getTime()).toBeGreaterThan(life.published[0]!.lease.validUntil.getTime());
  }),
  everywhere('B6', 'no increment is sent, except to retire', async (world) => {
    const life = await world.start({ role: { ttl: 3, maxTtl: 7 }, login: { ttl: 4, maxTtl: 600 } });
    await world.until(() => life.of('renewed').length > 1 && life.of('token-renewed').length > 0, 8 * SECOND);
    for (const { body } of [...world.requests(RENEW), ...world.requests(RENEW_SELF)]) {
      expect(JSON.parse(body)).not.toHaveProperty('increment');
    }
  }),
  everywhere('B7', 'granted less than before: rotated at once, while the old one works', async (world) => {
    const life = await world.start({ role: { ttl: 4, maxTtl: 6 } });
    await world.until(() => life.of('rotated').length > 0, 10 * SECOND);
    expect(life.of('rotated')[0]).toMatchObject({ reason: 'max-ttl', serial: 2 });
    const capped = life.of('renewed').filter((event) => event.capped);
    expect(capped).toHaveLength(1);
    expect(life.of('rotated')[0]!.at.getTime() - capped[0]!.at.getTime()).toBeLessThan(SECOND);
    expect(await world.isValid(life.published[0]!)).toBe(true);
    expect(await world.isValid(life.published[1]!)).toBe(true);
  }),
  everywhere('B10', 'tokens by renew-self, leases by the body form: nothing in the URL', async (world) => {
    const life = await world.start({ role: { ttl: 3, maxTtl: 600 }, login: { ttl: 3, maxTtl: 600 } });
    await world.until(() => life.of('renewed').length > 0 && life.of('token-renewed').length > 0, 5 * SECOND);
    expect(world.requests(/renew/).every(({ path }) => RENEW.test(path) || RENEW_SELF.test(path))).toBe(true);
  }),
  everywhere('B13', 'a periodic token is renewed without limit and without a new login', async (world) => {
    const life = await world.start({ role: LONG, login: { period: 2 } });
    await world.until(() => life.of('token-renewed').length >= 5, 12 * SECOND);
    expect(world.requests(LOGIN)).toHaveLength(1);
    expect(life.of('rotated')).toEqual([]);
  }),
  everywhere('D12', 'a token that never expires has no renewal', async (world) => {
    const { auth } = await world.operator.api('POST', 'auth/token/create', { policies: ['root'] });
    expect(auth.lease_duration).toBe(0);
    const given = token(auth.client_token as string);
    const life = await world.start({ role: LONG, options: { auth: given } });
    const none = { state: 'valid', next: { action: 'none', reason: 'never-expires' } };
    expect(life.connection.status.session).toMatchObject(none);
    expect(life.connection.status.session.validUntil).toBeUndefined();
    world.clear();
    await world.advance(world.clock ? 1_000 * 3_600 * SECOND : 2 * SECOND);
    expect(world.requests(/^auth\//)).toEqual([]);
    expect(life.connection.status.session).toMatchObject(none);
    expect(await world.isValid(life.published.at(-1)!)).toBe(true);
  }),
];
