import { expect } from 'vitest';
import { token } from '../../lib/index.js';
import { errors, SEALED, story, type SimulatedWorld } from './case.js';
import { ISSUE, LOGIN, LONG, LOOKUP_SELF, RENEW, RENEW_SELF, SECOND } from './rules/rule.js';

const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const LASTING = { ttl: 100 * 3_600, maxTtl: 200 * 3_600 };

/** The shortest time between two requests since another one, in milliseconds. */
function shortestPause(world: SimulatedWorld, path: RegExp, since: RegExp): number {
  const [first] = world.requests(since);
  const times = world.requests(path).flatMap(({ at }) => (at >= first!.at ? [at] : []));
  expect(times.length).toBeGreaterThan(2);
  return Math.min(...times.slice(1).map((at, index) => at - times[index]!));
}

story('a lease in doubt is replaced: a listener of the event finds the next one in place', async (world) => {
  const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, login: LASTING });
  await world.advance(5 * MINUTE);
  // The clock is set ahead while the next one is issued.
  world.vault.delay(3 * SECOND, { match: /creds/ });
  void life.published[0]!.lease.reportRejected?.({ confirmed: true });
  const inPlace: number[] = [];
  life.bus.events$.subscribe(({ type }) => {
    if (type === 'rotated') inPlace.push(life.published.length);
  });
  await world.advance(SECOND);
  world.clock.stepWall(6 * MINUTE);
  const asked = life.connection.leases.get<{ username: string; password: string }>(world.path);
  expect(await world.isValid(await world.settled(asked))).toBe(true);
  expect(life.of('expired')).toHaveLength(1);
  expect(inPlace).toEqual([2]);
});

story(
  'the wall clock is set ahead and back in an outage: who came meanwhile gets the lease, which is alive',
  async (world) => {
    const life = await world.start({ role: LONG, login: LASTING });
    world.network.answer(/./, 503, SEALED);
    world.clock.stepWall(3 * HOUR);
    await world.advance(2 * MINUTE);
    expect(life.of('expired')).toHaveLength(1);
    const seen: unknown[] = [];
    life.connection.leases.watch(world.path, true).subscribe(({ data }) => seen.push(data));
    await world.advance(MINUTE);
    expect(seen).toEqual([]);
    world.clock.stepWall(-3 * HOUR);
    await world.advance(2 * MINUTE);
    expect(seen).toEqual([life.published[0]!.data]);
    world.network.restore();
    await world.advance(10 * MINUTE);
    expect(life.of('issued')).toHaveLength(1);
    expect(life.published).toHaveLength(1);
  },
);

story('the first read of a watched secret is told to those who follow the status', async (world) => {
  const life = await world.start({ role: LONG, login: LASTING });
  await world.advance(MINUTE);
  const states: (string | undefined)[] = [];
  const { connection } = life;
  connection.changes$.subscribe(() => states.push(connection.status.secrets[0]?.state));
  world.vault.kv().put('app', { key: 'value' });
  connection.secrets.watch('app', { kvVersion: 2 }).subscribe();
  await world.advance(SECOND);
  expect(connection.status.secrets).toMatchObject([{ state: 'valid' }]);
  expect(states.at(-1)).toBe('valid');
});

story('renewals of a given token fail, and its source has it still: no failure is left', async (world) => {
  const given = world.vault.token({ ttl: 600 });
  const life = await world.start({ role: LONG, options: { auth: token(given) } });
  world.network.answer(RENEW_SELF, 503, SEALED);
  await world.until(() => life.of('token-renewal-failed').length > 0, 10 * MINUTE);
  expect(life.connection.status.session).toMatchObject({
    state: 'degraded',
    error: { code: 'VAULT_SEALED' },
  });
  world.clear();
  await world.until(() => world.requests(LOOKUP_SELF).some(({ answered }) => answered), 5 * MINUTE);
  await world.advance(10);
  expect(life.connection.status.session.state).toBe('valid');
  expect(life.connection.status.session.error).toBeUndefined();
  expect(life.of('token-renewed')).toEqual([]);
});

story('logins fail: a renewal of the token does not make their delays short again', async (world) => {
  const options = { retry: { jitter: 0 } };
  const life = await world.start({ role: LONG, login: { ttl: 600, maxTtl: 1_200 }, options });
  world.network.answer(LOGIN, 503, SEALED);
  await world.until(() => life.of('login-failed').length > 3, 20 * MINUTE);
  world.clear();
  await world.until(() => world.requests(RENEW_SELF).length > 0, 10 * MINUTE);
  await world.advance(MINUTE);
  expect(shortestPause(world, LOGIN, RENEW_SELF)).toBeGreaterThan(10 * SECOND);
});

story('no lease is issued: a renewal of the old one does not make the delays short again', async (world) => {
  const options = { retry: { jitter: 0 } };
  const life = await world.start({ role: { ttl: 600, maxTtl: 1_200 }, login: LASTING, options });
  world.network.answer(ISSUE, 503, SEALED);
  await world.until(() => life.of('rotation-failed').length > 3, 20 * MINUTE);
  world.clear();
  await world.until(() => world.requests(RENEW).length > 0, 10 * MINUTE);
  await world.advance(MINUTE);
  expect(shortestPause(world, ISSUE, RENEW)).toBeGreaterThan(10 * SECOND);
});

story('release() during a slow renewal: the user is ended after it', async (world) => {
  const life = await world.start({ role: LONG, login: LASTING });
  world.network.delay(RENEW, 3 * SECOND);
  await world.until(() => world.requests(RENEW).length === 1, HOUR);
  // The next request is faster, and would arrive first.
  world.network.restore();
  await world.settled(life.connection.leases.release(world.path));
  expect(world.requests(RENEW).map(({ answered }) => answered)).toEqual([true, true]);
  await world.advance(10 * SECOND);
  expect(await world.isValid(life.published.at(-1)!)).toBe(false);
});

story('once shutdown has begun, a lease that was lost is not replaced', async (world) => {
  const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, login: LASTING });
  world.network.answer(RENEW, 400, errors('lease not found'));
  life.connection.freeze();
  world.clear();
  await world.advance(20 * MINUTE);
  expect(world.requests(RENEW)).toHaveLength(1);
  expect(world.requests(ISSUE)).toEqual([]);
  expect(life.of('expired')).toHaveLength(1);
});

story('release() waits for the answer of the server', async (world) => {
  const life = await world.start({ role: LONG, login: LASTING });
  world.network.delay(RENEW, 3 * SECOND);
  await world.settled(life.connection.leases.release(world.path));
  expect(world.requests(RENEW)).toMatchObject([{ answered: true }]);
  expect(life.of('retired')).toMatchObject([{ how: 'asked' }]);
});

story(
  'a lease is superseded during its renewal: for those who hold it, the next one is in time',
  async (world) => {
    const life = await world.start({ role: LONG, login: LASTING });
    life.published[0]!.lease.hold();
    world.network.delay(RENEW, 3 * SECOND);
    await world.until(() => world.requests(RENEW).length === 1, HOUR);
    world.network.restore();
    await world.settled(life.connection.leases.release(world.path));
    await world.advance(50 * MINUTE);
    expect(world.requests(RENEW)).toHaveLength(2);
  },
);

story('a held lease seems expired, and the server cannot be asked: it is asked once', async (world) => {
  const life = await world.start({ role: { ttl: 600, maxTtl: 60_000 }, login: LASTING });
  life.published[0]!.lease.hold();
  await world.settled(life.connection.leases.release(world.path));
  world.network.answer(RENEW, 503, SEALED);
  world.clear();
  world.clock.stepWall(HOUR);
  await world.advance(5 * MINUTE);
  expect(world.requests(RENEW)).toHaveLength(1);
  expect(life.of('retired')).toMatchObject([{ serial: 1, how: 'expired' }]);
});

story('the end of a lease is reported once', async (world) => {
  const life = await world.start({ role: { ttl: 60, maxTtl: 600 }, login: LASTING });
  await world.settled(life.connection.leases.release(world.path));
  await world.advance(5 * MINUTE);
  expect(life.of('retired')).toMatchObject([{ serial: 1, how: 'asked' }]);
});
