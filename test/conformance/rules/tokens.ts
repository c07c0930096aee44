import { expect } from 'vitest';
import {
  everywhere,
  ISSUE,
  LOGIN,
  LONG,
  LOOKUP_SELF,
  RENEW,
  REVOKE_SELF,
  SECOND,
  type Rules,
} from './rule.js';
import { setTtls, watchMore } from './operator.js';

export const tokens: Rules = [
  everywhere('D1', 'each lease names the token that made it', async (world) => {
    const life = await world.start({ role: LONG, login: { ttl: 4, maxTtl: 6 } });
    await world.until(() => life.published.length > 1, 8 * SECOND);
    expect(life.published.map(({ lease }) => lease.tokenSequence)).toEqual([1, 2]);
  }),
  everywhere('D2', 'a new token: every lease is issued again before the old token ends', async (world) => {
    const life = await world.start({ role: LONG, login: { ttl: 6, maxTtl: 9 } });
    const all = [life.published, ...(await watchMore(world, life, 5))];
    await world.until(() => all.every(({ length }) => length > 1), 12 * SECOND);
    const rotated = life.of('rotated');
    expect(rotated.map(({ reason }) => reason)).toEqual(Array(6).fill('token'));
    const ends = life
      .of('token-renewed')
      .find(({ sequence }) => sequence === 1)!
      .validUntil.getTime();
    const times = rotated.map(({ at }) => at.getTime());
    expect(Math.max(...times)).toBeLessThan(ends);
    // The issues are spread.
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(100);
    for (const [first] of all) expect(await world.isValid(first!)).toBe(true);
    expect(life.of('expired')).toEqual([]);
  }),
  everywhere(
    'D2',
    'a periodic token with an explicit max TTL: a login before its end, without a gap',
    async (world) => {
      const life = await world.start({ role: LONG, login: { period: 4, explicitMaxTtl: 9 } });
      await world.until(() => life.published.length > 1, 12 * SECOND);
      expect(life.of('token-renewed').length).toBeGreaterThan(0);
      expect(life.of('login')).toMatchObject([{ reason: 'start' }, { reason: 'max-ttl' }]);
      expect(life.of('rotated')).toMatchObject([{ reason: 'token' }]);
      expect(await world.isValid(life.published[0]!)).toBe(true);
      expect(await world.isValid(life.published[1]!)).toBe(true);
      await world.until(() => world.requests(REVOKE_SELF).length === 1, 8 * SECOND);
      expect(life.of('expired')).toEqual([]);
    },
  ),
  everywhere('D3', 'the old token is not ended while a consumer holds its lease', async (world) => {
    const life = await world.start({ role: LONG, login: { ttl: 9, maxTtl: 12 } });
    const letGo = life.published[0]!.lease.hold();
    await world.until(() => life.of('rotated').length > 0, 15 * SECOND);
    await world.advance(SECOND / 2);
    expect(world.requests(REVOKE_SELF)).toEqual([]);
    expect(await world.isValid(life.published[0]!)).toBe(true);
    letGo();
    await world.until(() => world.requests(REVOKE_SELF).length === 1, 4 * SECOND);
    await world.advance(SECOND / 2);
    expect(await world.isValid(life.published[0]!)).toBe(false);
    expect(await world.isValid(life.published[1]!)).toBe(true);
  }),
  everywhere('D5', 'no lease is made with a token that is about to end', async (world) => {
    const life = await world.start({ role: LONG, login: { ttl: 4, maxTtl: 5 }, watch: false });
    await world.until(() => life.of('token-renewed').some(({ capped }) => capped), 5 * SECOND);
    const { lease } = await life.connection.leases.get(world.path);
    expect(lease.tokenSequence).toBe(2);
  }),
  everywhere(
    'D7',
    'a token was revoked unnoticed: all its leases have ended, one login, all issued anew',
    async (world) => {
      const life = await world.start({ role: { ttl: 4, maxTtl: 600 }, login: { ttl: 600, maxTtl: 600 } });
      // These leases are not due for an hour.
      await setTtls(world, LONG);
      const others = await watchMore(world, life, 4);
      await world.operator.revokeTokens();
      world.clear();
      const all = [life.published, ...others];
      await world.until(() => all.every(({ length }) => length > 1), 6 * SECOND);
      expect(life.of('login').slice(1)).toMatchObject([{ sequence: 2, reason: 'token-lost' }]);
      expect(life.of('rotated')).toHaveLength(5);
      // The lease that noticed, and the others that ended with the token.
      for (const { reason } of life.of('rotated')) expect(reason).toBe('lease-lost');
      for (const [, next] of all) expect(await world.isValid(next!)).toBe(true);
      expect(world.requests(LOGIN)).toHaveLength(1);
      // A busy database may refuse to make two users at the same moment, and the client retries. An attempt may also
      // fail before its request leaves, so the failures are a bound and not a sum.
      const issues = world.requests(ISSUE).length;
      expect(issues).toBeGreaterThanOrEqual(5);
      expect(issues).toBeLessThanOrEqual(5 + life.of('rotation-failed').length);
    },
  ),
  everywhere(
    'D8',
    'many refused requests: one look-up, one login, each request repeated once',
    async (world) => {
      const life = await world.start({ role: LONG, login: { ttl: 600, maxTtl: 600 } });
      await world.operator.revokeTokens();
      world.clear();
      const reads = Array.from({ length: 20 }, () => life.connection.client.read('auth/token/lookup-self'));
      await world.settled(Promise.all(reads));
      expect(world.requests(LOGIN)).toHaveLength(1);
      // Twenty refused requests, one or two look-ups (the token is new), twenty repeated requests.
      expect(world.requests(LOOKUP_SELF).length).toBeLessThanOrEqual(42);
    },
  ),
  everywhere(
    'D9',
    'a batch token cannot be renewed: a new login in time, and everything issued anew',
    async (world) => {
      const life = await world.start({ role: LONG, login: { ttl: 8, maxTtl: 600, type: 'batch' } });
      await world.until(() => life.of('login').length > 1, 10 * SECOND);
      expect(life.of('login')[1]).toMatchObject({ reason: 'not-renewable' });
      await world.until(() => life.published.at(-1)!.lease.tokenSequence === 2, 5 * SECOND);
      expect(world.requests(/renew-self/)).toEqual([]);
      expect(life.of('expired')).toEqual([]);
    },
  ),
  everywhere(
    'D10',
    'a use-limited token is replaced before its last use, which would end its leases',
    async (world) => {
      const life = await world.start({
        role: { ttl: 3, maxTtl: 600 },
        login: { ttl: 600, maxTtl: 600, uses: 4 },
      });
      await world.until(() => life.of('login').length > 1, 12 * SECOND);
      await world.until(() => life.of('rotated').length > 0, 2 * SECOND);
      expect(life.of('login')[1]).toMatchObject({ reason: 'uses' });
      expect(life.of('expired')).toEqual([]);
    },
  ),
  everywhere('D14', 'a failed login is not cached', async (world) => {
    world.network.answer(LOGIN, 500, '{"errors":["internal error"]}');
    const starting = world.start({ role: LONG });
    await world.until(() => world.requests(LOGIN).length > 0, 9 * SECOND);
    world.network.restore();
    await world.until(() => world.requests(ISSUE).length > 0, 15 * SECOND);
    await starting;
  }),
  everywhere('E1', 'new first: issued, published, drained, retired, in that order', async (world) => {
    const life = await world.start({ role: { ttl: 4, maxTtl: 6 } });
    const letGo = life.published[0]!.lease.hold();
    await world.until(() => life.of('rotated').length > 0, 9 * SECOND);
    expect(life.published).toHaveLength(2);
    letGo();
    await world.until(() => life.of('retired').length > 0, 5 * SECOND);
    const order = life.events
      .map(({ type }) => type)
      .filter((type) => /issued|rotated|drained|retired/.test(type));
    expect(order).toEqual(['issued', 'issued', 'rotated', 'drained', 'retired']);
  }),
  everywhere('E2', 'an unused lease is ended by the server, with a short increment', async (world) => {
    const life = await world.start({ role: LONG, login: { ttl: 600, maxTtl: 600 } });
    await world.settled(life.connection.leases.release(world.path));
    expect(world.requests(RENEW).map(({ body }) => JSON.parse(body).increment)).toEqual([1]);
    // Revocation takes the server some time.
    for (let waited = 0; waited < 8 && (await world.isValid(life.published[0]!)); waited++)
      await world.advance(SECOND);
    expect(await world.isValid(life.published[0]!)).toBe(false);
    expect(life.ended).toEqual(['complete']);
  }),
  everywhere('E4', 'rotation fails while the old lease works: kept, retried, reported', async (world) => {
    const life = await world.start({ role: { ttl: 5, maxTtl: 7 } });
    world.network.answer(ISSUE, 500, '{"errors":["internal error"]}');
    await world.until(() => life.of('rotation-failed').length > 0, 8 * SECOND);
    expect(life.of('rotation-failed')[0]!.validUntil).toBeInstanceOf(Date);
    expect(life.connection.leases.current(world.path)).toBeDefined();
    world.network.restore();
    await world.until(() => life.of('rotated').length > 0, 3 * SECOND);
    expect(life.of('expired')).toEqual([]);
  }),
  everywhere('E6', 'a new subscriber has the current value at once', async (world) => {
    const life = await world.start({ role: LONG });
    const seen: unknown[] = [];
    life.connection.leases.watch(world.path, false).subscribe((credentials) => seen.push(credentials));
    expect(seen).toHaveLength(1);
    expect(world.requests(ISSUE)).toHaveLength(1);
  }),
  everywhere('E8', 'a hundred readers of one path share one issue', async (world) => {
    const life = await world.start({ role: LONG, watch: false });
    await Promise.all(Array.from({ length: 100 }, () => life.connection.leases.get(world.path)));
    expect(world.requests(ISSUE)).toHaveLength(1);
    expect(world.requests(LOGIN)).toHaveLength(1);
  }),
  everywhere('G1', 'a lost answer to an issue: repeated, spaced out', async (world) => {
    world.network.loseAnswer(ISSUE);
    const life = await world.start({ role: LONG });
    const [first, second] = world.requests(ISSUE);
    // One for each failure, and the one that worked; a busy database may refuse one, too.
    expect(world.requests(ISSUE)).toHaveLength(1 + life.of('rotation-failed').length);
    // Half of `retry.initialDelay` is random.
    expect(second!.at - first!.at).toBeGreaterThanOrEqual(250);
    expect(await world.isValid(life.published[0]!)).toBe(true);
    expect(life.of('rotation-failed')[0]).toMatchObject({ reason: 'first' });
  }),
  everywhere('J2', 'one revoke-self ends the token and every lease', async (world) => {
    const life = await world.start({ role: LONG });
    world.clear();
    await world.settled(life.connection.close());
    expect(world.requests().map(({ path }) => path)).toEqual(['auth/token/revoke-self']);
    await world.advance(SECOND);
    expect(await world.isValid(life.published[0]!)).toBe(false);
    expect(life.of('token-ended')).toMatchObject([{ how: 'revoke-requested' }]);
    expect(life.ended).toEqual(['complete']);
  }),
  everywhere('J5', 'nothing goes on after the close', async (world) => {
    const life = await world.start({ role: { ttl: 3, maxTtl: 600 }, login: { ttl: 3, maxTtl: 600 } });
    await world.settled(life.connection.close());
    world.clear();
    await world.advance(5 * SECOND);
    expect(world.requests()).toEqual([]);
  }),
];
