import { expect } from 'vitest';
import { VaultError } from '../../lib/index.js';
import { errors, SEALED, story } from './case.js';
import { ISSUE, LOGIN, LONG, RENEW, RENEW_SELF, SECOND } from './rules/rule.js';

const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const LASTING = { ttl: 100 * 3_600, maxTtl: 200 * 3_600 };

story(
  'a token is lost while a renewal waits for Retry-After: leases are issued anew at once',
  async (world) => {
    const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, login: LASTING });
    world.network.answer(RENEW, 429, SEALED, { 'retry-after': '60' });
    await world.until(() => life.of('renewal-failed').length > 0, 8 * MINUTE);
    const { retryAt } = life.of('renewal-failed')[0]!;
    expect(retryAt.getTime() - world.clock.wall()).toBeGreaterThan(50 * SECOND);
    await world.operator.revokeTokens();
    world.vault.kv().put('app', { key: 'value' });
    // Any request shows the loss.
    await world.settled(life.connection.client.read('secret/data/app'));
    await world.until(() => life.published.length > 1, 2 * SECOND);
    expect(await world.isValid(life.published[1]!)).toBe(true);
  },
);

story('with a Retry-After longer than the lease, one more renewal is sent before its end', async (world) => {
  const life = await world.start({ role: { ttl: 60, maxTtl: 600 }, login: LASTING });
  world.vault.answer(429, SEALED, { times: 1, match: /leases\/renew/ }, { 'retry-after': '60' });
  await world.until(() => life.of('renewed').length > 0, MINUTE);
  expect(life.of('renewal-failed')).toHaveLength(1);
  expect(life.of('expired')).toEqual([]);
  expect(world.requests(ISSUE)).toHaveLength(1);
});

story('with `renewal.ttl` a lease is shortened after its issue, and kept at that TTL', async (world) => {
  const role = { ttl: 3_600, maxTtl: 36_000 };
  const life = await world.start({ role, login: LASTING, options: { renewal: { ttl: 120 * SECOND } } });
  await world.until(() => life.of('renewed').length > 0, SECOND);
  expect(life.of('renewed')[0]).toMatchObject({ ttl: 2 * MINUTE, previousTtl: HOUR, capped: false });
  world.clear();
  await world.advance(20 * MINUTE);
  expect(world.requests(RENEW).length).toBeGreaterThanOrEqual(13);
  expect(world.requests(RENEW).length).toBeLessThanOrEqual(17);
  expect(world.requests(ISSUE)).toEqual([]);
  expect(life.of('expired')).toEqual([]);
  const [lease] = world.vault.liveLeases;
  world.network.cut();
  await world.advance(2 * MINUTE);
  expect(world.vault.liveLeases).not.toContainEqual(lease);
});

story('with `renewal.ttl` a shorter TTL of the role is kept', async (world) => {
  const short = {
    role: { ttl: 60, maxTtl: 36_000 },
    login: LASTING,
    options: { renewal: { ttl: 120 * SECOND } },
  };
  const life = await world.start(short);
  await world.advance(10 * MINUTE);
  expect(life.of('renewed').every(({ ttl }) => ttl === MINUTE)).toBe(true);
  expect(world.requests(RENEW).length).toBeLessThanOrEqual(17);
});

story('an engine that grants more than `renewal.ttl` is not asked at once again', async (world) => {
  world.network.answer(RENEW, 503, SEALED);
  const options = { renewal: { ttl: 120 * SECOND } };
  const life = await world.start({ role: { ttl: 3_600, maxTtl: 36_000 }, login: LASTING, options });
  const [lease] = world.vault.liveLeases;
  const body = { lease_id: lease!.id, lease_duration: 3_600, renewable: true };
  world.network.restore();
  world.vault.answer(200, body, { match: /leases\/renew/ });
  await world.until(() => life.of('renewed').length > 0, 5 * MINUTE);
  await world.advance(10 * MINUTE);
  expect(life.of('renewed')).toMatchObject([{ ttl: HOUR, capped: false }]);
  expect(life.of('rotated')).toEqual([]);
});

story('a lease that a renewal makes not renewable is replaced, and not renewed again', async (world) => {
  const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, login: LASTING });
  const [lease] = world.vault.liveLeases;
  const body = { lease_id: lease!.id, lease_duration: 600, renewable: false };
  world.vault.answer(200, body, { times: 1, match: /leases\/renew/ });
  await world.until(() => life.of('rotated').length > 0, 20 * MINUTE);
  expect(life.of('rotated')[0]).toMatchObject({ reason: 'not-renewable' });
  expect(life.of('renewed')).toHaveLength(1);
  expect(life.of('renewal-failed')).toEqual([]);
});

story('a lease that expires again is reported again', async (world) => {
  const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, login: LASTING });
  // The lease seems expired, and is found valid.
  world.clock.stepWall(HOUR);
  await world.until(() => life.of('renewed').length > 0, MINUTE);
  expect(life.of('expired')).toHaveLength(1);
  expect(life.connection.leases.current(world.path)).toBeDefined();
  world.network.cut();
  await world.advance(11 * MINUTE);
  expect(life.connection.leases.current(world.path)).toBeUndefined();
  expect(life.of('expired')).toHaveLength(2);
  expect(life.of('expired')[1]!.error).toMatchObject({ code: 'VAULT_UNREACHABLE' });
});

for (const [what, status, text] of [
  ['is gone', 400, 'lease not found'],
  ['cannot be renewed any more', 400, 'past the max TTL'],
] as const) {
  story(`after a suspension, a caller waits for the new lease if the old one ${what}`, async (world) => {
    const life = await world.start({ role: { ttl: 60, maxTtl: 600 }, login: LASTING });
    world.network.answer(RENEW, status, errors(text));
    world.clear();
    const resumed = world.clock.stall(5 * MINUTE);
    const asked = life.connection.leases.get<{ username: string; password: string }>(world.path);
    await resumed;
    expect(await world.isValid(await world.settled(asked))).toBe(true);
    expect(world.requests(RENEW)).toHaveLength(1);
    expect(world.requests(ISSUE)).toHaveLength(1);
  });
}

story(
  'a caller during the check of the old lease gets the error if no new one can be issued',
  async (world) => {
    const life = await world.start({ role: { ttl: 60, maxTtl: 600 }, login: LASTING });
    world.network.answer(ISSUE, 503, SEALED);
    const resumed = world.clock.stall(5 * MINUTE);
    const asked = life.connection.leases.get(world.path).catch((error: unknown) => error);
    await resumed;
    expect(await world.settled(asked)).toMatchObject({
      code: 'VAULT_CREDENTIALS_EXPIRED',
      cause: { code: 'VAULT_SEALED' },
    });
  },
);

story('a failed retirement is repeated, spaced out, until the server ends the lease', async (world) => {
  const life = await world.start({ role: LONG, login: LASTING });
  world.network.answer(RENEW, 503, SEALED);
  world.clear();
  await world.settled(life.connection.leases.release(world.path));
  await world.advance(10 * MINUTE);
  const tries = world.vault.requests(/leases\/renew/).map(({ at }) => at);
  // Delays of 30 s, 1 min, 2 min …, as an hour is left; half of each is random.
  expect(tries.length).toBeGreaterThanOrEqual(3);
  expect(tries.length).toBeLessThanOrEqual(16);
  expect(tries.at(-1)! - tries.at(-2)!).toBeGreaterThan(10 * SECOND);
  expect(await world.isValid(life.published[0]!)).toBe(true);

  world.network.restore();
  await world.until(() => life.of('retired').length > 0, 5 * MINUTE);
  expect(life.of('retired')).toMatchObject([{ how: 'asked' }]);
  await world.advance(2 * SECOND);
  expect(await world.isValid(life.published[0]!)).toBe(false);
  world.clear();
  await world.advance(HOUR);
  expect(world.requests()).toEqual([]);
});

story(
  'a superseded lease whose retirement always fails ends by its TTL, and causes no more requests',
  async (world) => {
    const life = await world.start({ role: { ttl: 600, maxTtl: 900 }, login: LASTING });
    world.vault.answer(503, JSON.parse(SEALED), {
      match: ({ path }: { path: string }) => /leases\/renew/.test(path) && life.of('rotated').length > 0,
    });
    await world.until(() => life.of('rotated').length > 0, 15 * MINUTE);
    world.clear();
    // Until the first renewal of the new lease: later there are more such requests.
    await world.advance(5 * MINUTE);
    expect(world.requests(RENEW).length).toBeGreaterThanOrEqual(6);
    expect(world.requests(RENEW).length).toBeLessThanOrEqual(28);
    expect(await world.isValid(life.published[0]!)).toBe(true);
    await world.until(() => life.of('retired').length > 0, 5 * MINUTE);
    expect(life.of('retired')).toMatchObject([{ serial: 1, how: 'expired' }]);
    expect(await world.isValid(life.published[0]!)).toBe(false);
    expect(life.connection.leases.statusOf(world.path)).toMatchObject({ superseded: 0 });
  },
);

story('a lease of seconds is back within two seconds, also after a long outage', async (world) => {
  const life = await world.start({ role: { ttl: 3, maxTtl: 600 }, login: LASTING });
  world.network.cut();
  await world.until(() => life.of('expired').length > 0, 5 * SECOND);
  await world.advance(40 * SECOND);
  const asked = world.requests(ISSUE).length;
  world.network.restore();
  await world.until(() => life.published.length > 1, 2 * SECOND);
  expect(await world.isValid(life.published[1]!)).toBe(true);
  // Half a second apart, half of it random.
  expect(asked).toBeLessThan(170);
});

story('after the close, every method rejects instead of waiting', async (world) => {
  const life = await world.start({ role: LONG });
  const { leases, client } = life.connection;
  await world.settled(life.connection.close());
  world.clear();
  const closed = { code: 'VAULT_CLOSED' };
  await expect(leases.get(world.path)).rejects.toMatchObject(closed);
  await expect(leases.get('database/creds/other')).rejects.toMatchObject(closed);
  await expect(client.read('secret/data/app')).rejects.toMatchObject(closed);
  for (const keepTrying of [true, false]) {
    const seen: unknown[] = [];
    leases.watch(world.path, keepTrying).subscribe({
      next: () => seen.push('value'),
      error: (error: unknown) => seen.push(error),
      complete: () => seen.push('complete'),
    });
    await world.advance(MINUTE);
    expect(seen).toEqual([expect.objectContaining(closed)]);
    expect(seen[0]).toBeInstanceOf(VaultError);
  }
  expect(leases.current(world.path)).toBeUndefined();
  expect(world.requests()).toEqual([]);
  expect(world.clock.pending).toBe(0);
});

// A6 with a lease that outlasts the jump itself, under a token that seems expired.
story(
  'A6: the wall clock is set past the end of the token, not of the lease: checked, found valid, and kept',
  async (world) => {
    const life = await world.start({
      role: { ttl: 36_000, maxTtl: 360_000 },
      login: { ttl: 3_600, maxTtl: 360_000 },
    });
    world.clear();
    world.clock.stepWall(3 * HOUR);
    await world.advance(60 * SECOND);
    expect(world.requests(RENEW_SELF)).toHaveLength(1);
    expect(world.requests(LOGIN)).toEqual([]);
    expect(world.requests(ISSUE)).toEqual([]);
    expect(world.requests(RENEW)).toEqual([]);
    expect(life.published).toHaveLength(1);
  },
);
