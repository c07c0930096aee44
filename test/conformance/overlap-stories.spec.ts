import { expect } from 'vitest';
import { token } from '../../lib/index.js';
import { errors, SEALED, story, type SimulatedWorld } from './case.js';
import { ISSUE, LOGIN, LONG, RENEW, RENEW_SELF, SECOND } from './rules/rule.js';

const LASTING = { ttl: 100 * 3_600, maxTtl: 200 * 3_600 };
const MINUTE = 60 * SECOND;

/** Users of the database that the server has not ended. */
const users = (world: SimulatedWorld) =>
  world.vault.liveLeases.filter(({ path }) => path.startsWith('database/'));

story('release() during a renewal: the user is not kept for another TTL', async (world) => {
  const life = await world.start({ role: LONG, login: LASTING });
  // Less than the second that is the increment of a retirement.
  world.network.delay(RENEW, SECOND / 2);
  await world.until(() => world.requests(RENEW).length === 1, 3_600 * SECOND);
  const released = life.connection.leases.release(world.path);
  await world.advance(0);
  world.network.restore();
  await world.settled(released);
  await world.advance(10 * SECOND);
  expect(await world.isValid(life.published.at(-1)!)).toBe(false);
});

story('release() while a lease is issued: the new lease is ended', async (world) => {
  const life = await world.start({ role: LONG, login: LASTING, watch: false });
  world.vault.delay(3 * SECOND, { match: /creds/ });
  const got = life.connection.leases.get(world.path).catch((error: unknown) => error);
  await world.advance(SECOND);
  await world.settled(life.connection.leases.release(world.path));
  expect(await world.settled(got)).toMatchObject({ code: 'VAULT_CLOSED' });
  await world.advance(10 * SECOND);
  expect(world.requests(ISSUE)).toHaveLength(1);
  expect(users(world)).toEqual([]);
});

story(
  'close() while a lease is issued, with a token that is not revoked: the new lease is ended',
  async (world) => {
    const options = { auth: token(world.vault.token({ ttl: 36_000 })) };
    const life = await world.start({ role: LONG, watch: false, options });
    world.vault.delay(SECOND, { match: /creds/ });
    const got = life.connection.leases.get(world.path).catch((error: unknown) => error);
    await world.advance(SECOND / 2);
    await world.settled(life.connection.close());
    await world.settled(got);
    await world.advance(10 * SECOND);
    expect(world.requests(ISSUE)).toHaveLength(1);
    expect(users(world)).toEqual([]);
  },
);

story(
  'the database rejects credentials after a failed renewal: the next ones come at once',
  async (world) => {
    const life = await world.start({ role: LONG, login: LASTING });
    world.network.answer(RENEW, 503, SEALED);
    await world.until(() => life.of('renewal-failed').length === 3, 3_600 * SECOND);
    world.clear();
    void life.published[0]!.lease.reportRejected?.({ confirmed: true });
    await world.advance(SECOND);
    expect(world.requests(ISSUE)).toHaveLength(1);
    expect(await world.isValid(life.published.at(-1)!)).toBe(true);
  },
);

story(
  'logins fail while a token is granted less than before: its renewals do not wait for the next login attempt',
  async (world) => {
    const options = { retry: { jitter: 0 } };
    const life = await world.start({ role: LONG, login: { ttl: 600, maxTtl: 36_000 }, options });
    world.network.answer(LOGIN, 400, errors('invalid role or secret ID'));
    // The answer after an operator lowered the max TTL of the mount.
    const auth = { client_token: 'x', lease_duration: 30, renewable: true };
    const warnings = [
      'TTL of "10m" exceeded the effective max_ttl of "30s"; TTL value is capped accordingly',
    ];
    world.vault.answer(200, { auth, warnings }, { match: /renew-self/ });
    await world.until(() => life.of('login-failed').length === 1, 10 * MINUTE);
    world.clear();
    const states = new Set<string>();
    for (let second = 0; second < 300; second++) {
      await world.advance(SECOND);
      states.add(life.connection.status.session.state);
    }
    expect([...states].sort()).toEqual(['degraded', 'valid']);
    expect(world.requests(RENEW_SELF).length).toBeGreaterThan(10);
    expect(life.connection.leases.current(world.path)).toBeDefined();
  },
);

story(
  'a token is replaced while its last request is pending: the lease of that request is kept',
  async (world) => {
    const life = await world.start({ role: LONG, login: { ...LASTING, uses: 2 }, watch: false });
    world.vault.databaseRole('slow', { defaultTtl: 3_600, maxTtl: 36_000 });
    world.vault.delay(3 * SECOND, { match: /slow/ });
    const get = (path: string) => life.connection.leases.get<{ username: string; password: string }>(path);
    const slow = get('database/creds/slow');
    await world.advance(SECOND);
    await world.settled(get(world.path));
    expect(life.of('login').map(({ reason }) => reason)).toEqual(['start', 'uses']);
    // The lease belongs to a superseded token, so another lease follows.
    expect(await world.isValid(await world.settled(slow))).toBe(true);
    await world.advance(MINUTE);
    const current = life.connection.leases.current<{ username: string; password: string }>(
      'database/creds/slow',
    );
    expect(await world.isValid(current!)).toBe(true);
  },
);

story('a hold that is released twice counts once', async (world) => {
  const life = await world.start({ role: { ttl: 60, maxTtl: 120 }, login: LASTING });
  const first = life.published[0]!;
  const [one, other] = [first.lease.hold(), first.lease.hold()];
  await world.until(() => life.published.length === 2, 120 * SECOND);
  one();
  one();
  await world.advance(5 * SECOND);
  expect(await world.isValid(first)).toBe(true);
  other();
  await world.advance(10 * SECOND);
  expect(await world.isValid(first)).toBe(false);
});
