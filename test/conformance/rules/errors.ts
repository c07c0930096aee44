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
import type { Life, World } from '../world.js';
import { databaseDown, deny, removableLogin, setTtls } from './operator.js';

const SHORT = { ttl: 4, maxTtl: 600 };
const errors = (...texts: string[]) => JSON.stringify({ errors: texts });
const DENIED = errors('1 error occurred:\n\t* permission denied\n\n');

/** Checks that the last attempt came at most so many milliseconds before the end, and that events reported it. */
async function endsInTime(world: World, life: Life, margin: number): Promise<void> {
  const failed = [...life.of('renewal-failed'), ...life.of('rotation-failed')];
  const { validUntil } = life.published[0]!.lease;
  const before = failed.map(({ at }) => validUntil.getTime() - at.getTime()).filter((left) => left >= 0);
  expect(Math.min(...before)).toBeLessThan(margin);
  expect(life.of('expired')).toMatchObject([{ serial: 1, error: { code: 'VAULT_UNREACHABLE' } }]);
  expect(Math.abs(life.of('expired')[0]!.at.getTime() - validUntil.getTime())).toBeLessThan(SECOND / 2);
  expect(life.connection.leases.current(world.path)).toBeUndefined();
  await expect(world.settled(life.connection.leases.get(world.path))).rejects.toMatchObject({
    code: 'VAULT_CREDENTIALS_EXPIRED',
    cause: { code: 'VAULT_UNREACHABLE' },
  });
}

export const errorTaxonomy: Rules = [
  everywhere('C1', 'a lost lease is issued anew', async (world) => {
    const life = await world.start({ role: SHORT });
    await world.operator.revokeLeases();
    await world.until(() => life.of('rotated').length > 0, 5 * SECOND);
    expect(life.of('rotated')[0]).toMatchObject({ reason: 'lease-lost' });
    expect(await world.isValid(life.published[1]!)).toBe(true);
    expect(world.requests(ISSUE)).toHaveLength(2);
  }),
  everywhere(
    'C2',
    'past the max TTL: issued anew, and the old one stays in use until then',
    async (world) => {
      const life = await world.start({ role: SHORT });
      world.clear();
      // At its first renewal the lease is older than this.
      await setTtls(world, { ttl: 1, maxTtl: 1 });
      await world.until(() => life.of('rotated').length > 0, 5 * SECOND);
      expect(world.requests(RENEW)).toHaveLength(1);
      expect(life.of('rotated')[0]).toMatchObject({ reason: 'max-ttl' });
      expect(life.of('renewed')).toEqual([]);
      expect(life.of('expired')).toEqual([]);
      expect(await world.isValid(life.published[0]!)).toBe(true);
    },
  ),
  everywhere('C3', 'not renewable after all: replaced in time, not renewed again', async (world) => {
    const life = await world.start({ role: SHORT });
    world.network.answer(RENEW, 400, errors('lease is not renewable'));
    await world.until(() => life.of('rotated').length > 0, 5 * SECOND);
    expect(life.of('rotated')[0]).toMatchObject({ reason: 'not-renewable' });
    expect(world.requests(RENEW)).toHaveLength(1);
    expect(life.of('expired')).toEqual([]);
  }),
  everywhere(
    'C4',
    'any other 400 on a renewal may be temporary: the value is kept, and nothing is issued until necessary',
    async (world) => {
      const life = await world.start({ role: { ttl: 8, maxTtl: 600 } });
      const restore = await databaseDown(world);
      await world.until(() => life.of('renewal-failed').length > 0, 7 * SECOND);
      expect(life.connection.leases.current(world.path)).toBeDefined();
      expect(life.of('renewal-failed')[0]).toMatchObject({ error: { status: 400 } });
      expect(world.requests(ISSUE)).toHaveLength(1);
      await restore();
      await world.until(() => life.of('renewed').length > 0, 3 * SECOND);
      expect(world.requests(ISSUE)).toHaveLength(1);
    },
  ),
  everywhere('C5', 'a valid token is denied renew-self: one look-up, and no login loop', async (world) => {
    const life = await world.start({ role: LONG, login: { ttl: 4, maxTtl: 600 } });
    world.network.answer(RENEW_SELF, 403, errors('permission denied'));
    await world.advance(14 * SECOND);
    const refusals = world.requests(RENEW_SELF);
    expect(refusals.length).toBeGreaterThanOrEqual(4);
    expect(world.requests(LOOKUP_SELF)).toHaveLength(refusals.length);
    // Each token is denied once, at two thirds of its TTL at the earliest.
    expect(world.requests(LOGIN).length).toBeLessThanOrEqual(1 + 14 / (0.6 * 4));
    expect(world.requests(LOGIN)).toHaveLength(refusals.length + 1);
    expect(life.of('expired')).toEqual([]);
    expect(life.connection.leases.current(world.path)).toBeDefined();
  }),
  everywhere('C7', 'renewal of leases is denied: issued anew in time, and reported once', async (world) => {
    const life = await world.start({ role: SHORT });
    await deny(world, 'sys/leases/renew');
    await world.until(() => life.of('rotated').length > 1, 10 * SECOND);
    expect(life.of('rotated').map(({ reason }) => reason)).toEqual(['not-renewable', 'not-renewable']);
    expect(life.of('expired')).toEqual([]);
    expect(life.of('warning').filter(({ code }) => code === 'renewal-denied')).toHaveLength(1);
  }),
  everywhere('C8', 'rate-limited: waits as long as Retry-After says', async (world) => {
    const life = await world.start({ role: { ttl: 12, maxTtl: 600 } });
    world.network.answer(RENEW, 429, errors('rate limit quota exceeded'), { 'retry-after': '1' });
    await world.until(() => life.of('renewal-failed').length > 0, 10 * SECOND);
    world.network.restore();
    await world.until(() => life.of('renewed').length > 0, 2 * SECOND);
    expect(world.requests(RENEW)).toHaveLength(2);
    expect(life.of('renewed')[0]!.at.getTime() - life.of('renewal-failed')[0]!.at.getTime()).toBeGreaterThan(
      900,
    );
  }),
  everywhere(
    'C9',
    'sealed or unreachable: keeps its credentials, does not log in, and resumes',
    async (world) => {
      const life = await world.start({ role: { ttl: 15, maxTtl: 600 } });
      world.network.answer(/./, 503, errors('Vault is sealed'));
      await world.until(() => life.of('renewal-failed').length > 1, 13 * SECOND);
      expect(life.connection.leases.current(world.path)).toBeDefined();
      expect(life.connection.leases.statusOf(world.path)).toMatchObject({
        state: 'degraded',
        error: { code: 'VAULT_SEALED' },
      });
      world.network.restore();
      await world.until(() => life.of('renewed').length > 0, 3 * SECOND);
      expect(world.requests(LOGIN)).toHaveLength(1);
      expect(life.published).toHaveLength(1);
      expect(life.ended).toEqual([]);
    },
  ),
  everywhere('C10', 'renew-self that keeps failing with 500 gives way to a login in time', async (world) => {
    const life = await world.start({ role: LONG, login: { ttl: 5, maxTtl: 600 } });
    world.network.answer(/renew-self/, 500, errors('1 error occurred:\n\t* internal error\n\n'));
    await world.until(() => life.of('login').length > 1, 6 * SECOND);
    expect(life.of('token-renewal-failed')[0]).toMatchObject({ error: { status: 500 } });
    expect(life.of('login')[1]).toMatchObject({ reason: 'renewal-failing' });
    await world.until(() => life.of('rotated').length > 0, 2 * SECOND);
    expect(life.of('expired')).toEqual([]);
  }),
  everywhere('C10', 'renew-self that is refused because the role is gone: a login at once', async (world) => {
    const login = { ttl: 5, maxTtl: 600 };
    const { auth, remove } = await removableLogin(world, login);
    const life = await world.start({ role: LONG, login, options: { auth } });
    await remove();
    await world.until(() => life.of('login').length > 1, 6 * SECOND);
    expect(world.requests(/renew-self/)).toHaveLength(1);
    expect(life.of('login')[1]).toMatchObject({ reason: 'not-renewable' });
    await world.until(() => life.of('rotated').length > 0, 2 * SECOND);
    expect(life.of('expired')).toEqual([]);
  }),
  everywhere(
    'C14',
    'a web page in the way: a typed error, its text not shown, and the value is kept',
    async (world) => {
      const life = await world.start({ role: SHORT });
      world.network.answer(RENEW, 502, '<html>canary-page</html>');
      await world.until(() => life.of('renewal-failed').length > 0, 4 * SECOND);
      const { error } = life.of('renewal-failed')[0]!;
      expect(error).toMatchObject({ code: 'VAULT_NOT_VAULT', status: 502 });
      expect(`${error.stack} ${JSON.stringify(error)}`).not.toContain('canary-page');
    },
  ),
  everywhere('C15', 'a 200 without its required fields is a failed attempt', async (world) => {
    const life = await world.start({ role: { ttl: 6, maxTtl: 600 }, login: { ttl: 6, maxTtl: 600 } });
    world.network.answer(/renew/, 200, '{"auth":null,"data":null}');
    await world.until(
      () => life.of('renewal-failed').length > 0 && life.of('token-renewal-failed').length > 0,
      5 * SECOND,
    );
    world.network.restore();
    await world.until(
      () =>
        life.of('renewed').length + life.of('rotated').length > 0 &&
        life.of('token-renewed').length + life.of('login').length > 1,
      3 * SECOND,
    );
    expect(life.of('expired')).toEqual([]);
  }),
  ...(
    [
      ['400', 400, errors('something else')],
      ['403', 403, DENIED],
      ['429', 429, errors('rate limit quota exceeded')],
      ['500', 500, errors('internal error')],
      ['garbage', 200, 'not { json'],
    ] as const
  ).map(([name, status, body]) =>
    everywhere('C16', `constant ${name} for a whole lease of 10 s: at most 10 requests`, async (world) => {
      await world.start({ role: { ttl: 10, maxTtl: 600 } });
      world.clear();
      world.network.answer(/./, status, body);
      await world.advance(10 * SECOND);
      expect(world.requests().length).toBeGreaterThan(0);
      expect(world.requests().length).toBeLessThanOrEqual(10);
    }),
  ),
  everywhere(
    'C16',
    'connections that break for a whole lease of 10 s: at most 10 requests',
    async (world) => {
      await world.start({ role: { ttl: 10, maxTtl: 600 } });
      world.clear();
      world.network.cut();
      await world.advance(10 * SECOND);
      expect(world.requests(RENEW).length).toBeGreaterThan(2);
      expect(world.requests().length).toBeLessThanOrEqual(10);
    },
  ),
  everywhere('C17', 'the last attempt comes before the end, and the end is reported', async (world) => {
    const life = await world.start({ role: { ttl: 12, maxTtl: 600 } });
    world.network.cut();
    await world.until(() => life.of('expired').length > 0, 13 * SECOND);
    await endsInTime(world, life, SECOND);
    world.network.restore();
    await world.until(() => life.published.length > 1, 6 * SECOND);
    expect(life.ended).toEqual([]);
  }),
  simulated('C17', 'the retry delays of a long lease shrink with the time left', async (world) => {
    const life = await world.start({ role: { ttl: 3_600, maxTtl: 36_000 } });
    world.network.cut();
    await world.until(() => life.of('expired').length > 0, 3_601 * SECOND);
    await endsInTime(world, life, SECOND);
    expect(world.requests().length).toBeLessThan(60);
  }),
  everywhere('C18', 'success resets the retry delays', async (world) => {
    const life = await world.start({ role: { ttl: 12, maxTtl: 600 } });
    world.network.cut(RENEW);
    await world.until(() => life.of('renewal-failed').length > 1, 11 * SECOND);
    world.network.restore();
    await world.until(() => life.of('renewed').length > 0, 3 * SECOND);
    expect(life.connection.leases.statusOf(world.path)).toMatchObject({ state: 'valid', attempt: 0 });
  }),
];
