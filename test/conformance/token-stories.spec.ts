import { expect } from 'vitest';
import { token } from '../../lib/index.js';
import { DENIED, SEALED, story } from './case.js';
import { ISSUE, LOGIN, LONG, LOOKUP_SELF, RENEW, RENEW_SELF, REVOKE_SELF, SECOND } from './rules/rule.js';

const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const HOURLY = { ttl: 3_600, maxTtl: 36_000 };
const LASTING = { ttl: 100 * 3_600, maxTtl: 200 * 3_600 };
const NEVER = 8.64e15;

story(
  'the wall clock is set ahead while the server can neither renew the token nor log in: no loop, and it recovers',
  async (world) => {
    const life = await world.start({ role: LONG, login: HOURLY });
    world.network.answer(/renew-self|login/, 503, SEALED);
    world.clear();
    world.clock.stepWall(3 * HOUR);
    // Checked by the pending timer at the latest.
    await world.advance(30 * SECOND);
    expect(world.requests().length).toBeLessThanOrEqual(20);
    await world.advance(10 * MINUTE);
    // Repeated renewals would find the lease valid, and it would still seem expired, as its token does.
    expect(world.requests(RENEW).length).toBeLessThanOrEqual(2);
    // Delays of 15 to 30 s, after a few shorter ones.
    expect(world.requests().length).toBeLessThanOrEqual(50);
    expect(life.connection.leases.current(world.path)).toBeUndefined();
    expect(life.connection.status.session).toMatchObject({
      state: 'expired',
      error: { code: 'VAULT_SEALED' },
    });

    world.network.restore();
    await world.until(() => life.connection.leases.current(world.path) !== undefined, MINUTE);
    expect(await world.isValid(life.published.at(-1)!)).toBe(true);
    world.clear();
    await world.advance(10 * MINUTE);
    expect(world.requests().length).toBeLessThanOrEqual(4);
    expect(life.connection.status.health).toBe('up');
    expect(life.ended).toEqual([]);
  },
);

story(
  'a token without expiry seems invalid for a moment: looked up again, and still without expiry',
  async (world) => {
    const life = await world.start({ role: LONG, options: { auth: token('root') } });
    const [login] = life.of('login');
    expect(login!.validUntil.getTime()).toBe(NEVER);
    await world.advance(10 * SECOND);
    world.vault.answer(403, DENIED, { times: 1, match: /secret\/data/ });
    world.vault.answer(403, DENIED, { times: 1, match: /lookup-self/ });
    world.vault.kv().put('app', { key: 'value' });
    world.clear();

    const { data } = await world.settled(life.connection.client.read<{ data: object }>('secret/data/app'));
    expect(data.reveal().data).toEqual({ key: 'value' });
    // One look-up fails, one finds the token valid.
    expect(world.requests(LOOKUP_SELF)).toHaveLength(2);
    await world.advance(HOUR);
    expect(world.requests(LOOKUP_SELF)).toHaveLength(2);
    expect(await world.isValid(life.published.at(-1)!)).toBe(true);
    expect(life.connection.leases.current(world.path)).toBeDefined();
    const { session, health } = life.connection.status;
    expect(session).toMatchObject({ state: 'valid', next: { action: 'none' } });
    expect(session.validUntil).toBeUndefined();
    expect(health).toBe('up');
  },
);

story('a given token in its last second has a TTL of 0 s: it still expires', async (world) => {
  const given = world.vault.token({ ttl: 600, renewable: false });
  const last = { ttl: 0, expire_time: new Date(world.clock.wall() + 400).toISOString(), renewable: false };
  world.vault.answer(200, { data: last }, { times: 1, match: /lookup-self/ });
  const life = await world.start({ role: LONG, watch: false, options: { auth: token(given) } });
  const { validUntil } = life.of('login')[0]!;
  expect(validUntil.getTime() - world.clock.wall()).toBeLessThanOrEqual(SECOND);
  // The client looks it up again; by then the source may hold a new one.
  await world.until(() => world.requests(LOOKUP_SELF).length === 2, 5 * SECOND);
  expect(life.connection.status.session.state).toBe('valid');
});

for (const uses of [2, 3]) {
  story(
    `tokens of ${uses} uses: a new login only when something needs it, and every credential works`,
    async (world) => {
      const life = await world.start({ role: { ttl: 3_600, maxTtl: 36_000 }, login: { ...LASTING, uses } });
      for (const quiet of [SECOND, 30 * MINUTE]) {
        await world.advance(quiet);
        expect(world.requests(LOGIN)).toHaveLength(1);
      }
      for (let hour = 0; hour < 10; hour++) {
        await world.advance(HOUR);
        expect(life.connection.leases.current(world.path)).toBeDefined();
        expect(await world.isValid(life.published.at(-1)!)).toBe(true);
      }
      expect(life.published.length).toBeGreaterThan(3);
      // Each of them takes a login beyond the one at the start.
      expect(world.requests(LOGIN).length).toBeLessThanOrEqual(life.published.length);
      expect(
        new Set(
          life
            .of('login')
            .slice(1)
            .map(({ reason }) => reason),
        ),
      ).toEqual(new Set(['uses']));
      expect(life.of('expired')).toEqual([]);
    },
  );
}

story(
  'tokens of one use: one login for each request, and a lease is refused with the reason',
  async (world) => {
    const life = await world.start({ role: LONG, watch: false, login: { ...LASTING, uses: 1 } });
    world.vault.kv().put('app', { key: 'value' });
    for (let read = 1; read <= 3; read++) {
      await world.settled(life.connection.client.read('secret/data/app'));
      for (const quiet of [SECOND, HOUR]) {
        await world.advance(quiet);
        expect(world.requests(LOGIN)).toHaveLength(read);
      }
    }
    expect(life.of('login').map(({ reason }) => reason)).toEqual(['start', 'uses', 'uses']);

    world.clear();
    const refused = life.connection.leases.get(world.path);
    await expect(world.settled(refused)).rejects.toMatchObject({
      code: 'VAULT_TOKEN_INVALID',
      hint: expect.stringContaining('token_num_uses') as string,
    });
    await world.advance(HOUR);
    expect(world.requests(LOGIN).length).toBeLessThanOrEqual(3);
    expect(world.requests(ISSUE).length).toBeLessThanOrEqual(2);
  },
);

story('a batch token cannot be revoked: at close its leases are ended one by one', async (world) => {
  const life = await world.start({ role: LONG, login: { ...HOURLY, type: 'batch' } });
  world.vault.databaseRole('other', { defaultTtl: 3_600, maxTtl: 36_000 });
  const other = await world.settled(
    life.connection.leases.get<{ username: string; password: string }>('database/creds/other'),
  );
  world.clear();
  await world.settled(life.connection.close());
  expect(world.requests(REVOKE_SELF)).toEqual([]);
  expect(
    world.requests(RENEW).map(({ body }) => (JSON.parse(body) as { increment: number }).increment),
  ).toEqual([1, 1]);
  expect(life.of('token-ended')).toMatchObject([{ sequence: 1, how: 'batch' }]);
  await world.advance(2 * SECOND);
  expect(await world.isValid(life.published[0]!)).toBe(false);
  expect(await world.isValid(other)).toBe(false);
});

story('a superseded batch token is dropped without a request', async (world) => {
  const life = await world.start({ role: LONG, login: { ttl: 600, maxTtl: 600, type: 'batch' } });
  await world.until(() => life.of('token-ended').length > 0, 20 * MINUTE);
  expect(life.of('token-ended')).toMatchObject([{ sequence: 1, how: 'batch' }]);
  expect(world.requests(REVOKE_SELF)).toEqual([]);
});

story('in the second half of a token that cannot be renewed, a new lease gets a new login', async (world) => {
  const life = await world.start({ role: LONG, login: { ttl: 600, maxTtl: 600, type: 'batch' } });
  world.vault.databaseRole('other', { defaultTtl: 3_600, maxTtl: 36_000 });
  world.vault.kv().put('app', { key: 'value' });
  await world.advance(330 * SECOND);
  await world.settled(life.connection.client.read('secret/data/app'));
  expect(life.of('login')).toHaveLength(1);
  const { lease } = await world.settled(life.connection.leases.get('database/creds/other'));
  expect(lease.tokenSequence).toBe(2);
});

story('a token that cannot be renewed is used until it expires while new logins fail', async (world) => {
  const life = await world.start({ role: LONG, login: { ttl: 600, maxTtl: 600, type: 'batch' } });
  world.vault.databaseRole('other', { defaultTtl: 3_600, maxTtl: 36_000 });
  world.vault.kv().put('app', { key: 'value' });
  world.network.answer(LOGIN, 503, SEALED);
  await world.until(() => life.of('login-failed').length > 1, 8 * MINUTE);
  await world.settled(life.connection.client.read('secret/data/app'));
  const { lease } = await world.settled(life.connection.leases.get('database/creds/other'));
  expect(lease.tokenSequence).toBe(1);
  expect(life.connection.leases.current(world.path)).toBeDefined();
  world.network.restore();
  await world.until(() => life.of('login').length > 1, MINUTE);
  expect(life.of('login')[1]).toMatchObject({ reason: 'not-renewable' });
  expect(life.of('expired')).toEqual([]);
});

story('a token is found invalid while its renewal waits for Retry-After: a login at once', async (world) => {
  const life = await world.start({ role: LONG, login: { ttl: 600, maxTtl: 6_000 } });
  world.network.answer(RENEW_SELF, 429, SEALED, { 'retry-after': '60' });
  await world.until(() => life.of('token-renewal-failed').length > 0, 8 * MINUTE);
  await world.operator.revokeTokens();
  world.vault.kv().put('app', { key: 'value' });
  await world.settled(life.connection.client.read('secret/data/app'));
  expect(life.of('login')[1]!.at.getTime() - life.of('token-renewal-failed')[0]!.at.getTime()).toBeLessThan(
    SECOND,
  );
  expect(life.of('login')[1]).toMatchObject({ reason: 'token-lost' });
});

story('with a Retry-After longer than the token, one more request is sent before its end', async (world) => {
  const life = await world.start({ role: LONG, login: { ttl: 60, maxTtl: 6_000 } });
  world.vault.answer(429, SEALED, { times: 1, match: /renew-self/ }, { 'retry-after': '60' });
  await world.until(() => life.of('token-renewed').length + life.of('login').length > 1, MINUTE);
  expect(life.of('token-renewal-failed')).toHaveLength(1);
  expect(life.of('expired')).toEqual([]);
  // A renewal, or a login if that is the safer way by then.
  const end = life.of('login')[0]!.validUntil.getTime();
  expect(world.clock.wall()).toBeLessThan(end);
});

for (const [what, status] of [
  ['with an error', 503],
  ['with a refusal', 403],
] as const) {
  story(
    `a renewal that is answered late ${what}, after a newer token has taken over: no event of the old one`,
    async (world) => {
      const life = await world.start({ role: LONG, login: { ttl: 600, maxTtl: 6_000 } });
      world.vault.delay(9 * SECOND, { match: /renew-self/ });
      world.vault.answer(status, SEALED, { times: 1, match: /renew-self/ });
      await world.until(() => world.requests(RENEW_SELF).length > 0, 8 * MINUTE);
      world.vault.kv().put('app', { key: 'value' });
      await world.operator.revokeTokens();
      await world.settled(life.connection.client.read('secret/data/app'));
      expect(life.of('login')).toHaveLength(2);
      const lookUps = world.requests(LOOKUP_SELF).length;
      await world.advance(20 * SECOND);
      expect(life.of('token-renewal-failed')).toEqual([]);
      expect(life.of('login')).toHaveLength(2);
      expect(world.requests(LOOKUP_SELF)).toHaveLength(lookUps);
      const { session } = life.connection.status;
      expect(session).toMatchObject({
        state: 'valid',
        sequence: 2,
        attempt: 0,
        next: { action: 'renew', reason: 'renewal' },
      });
      expect(session.error).toBeUndefined();
    },
  );
}
