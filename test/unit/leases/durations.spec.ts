import { expect, it } from 'vitest';
import { token } from '../../../lib/auth/token.js';
import { VaultError } from '../../../lib/errors/vault-error.js';
import { AlteredVault } from '../../support/altered-vault.js';

const ISSUE = /GET \/v1\/database\/creds\//;
const LOGIN = /\/login$/;
const RENEWAL = /sys\/leases\/renew$/;
const TOKEN_RENEWAL = /renew-self$/;
const LOOK_UP = /lookup-self$/;
const PATH = 'database/creds/app';
const MINUTE = 60_000;
/** Limit of requests a minute for any useless answer. */
const BOUND = 30;

/** Invalid durations. In JSON, NaN is null. */
const NONE: [unknown][] = [
  [0.01],
  [59.5],
  [-1],
  [-3_600],
  [1e300],
  [NaN],
  ['3600'],
  ['1h'],
  [[60]],
  [{}],
  [true],
];
const INVALID = { code: 'VAULT_RESPONSE_INVALID' };

it.each(NONE)('an issue with a duration of %j is a failed attempt', async (duration) => {
  const world = new AlteredVault();
  const life = await world.live();
  const { connection } = life;
  world.alterAll(ISSUE, ({ body }) => (body.lease_duration = duration));
  const first = failureOf(connection.leases.get(PATH, MINUTE));
  await world.clock.advance(MINUTE);
  expect(await first).toMatchObject({ ...INVALID, path: PATH });
  expect(life.of('rotation-failed')[0]).toMatchObject({ error: INVALID, reason: 'first' });
  expect(world.vault.count(ISSUE)).toBeLessThanOrEqual(BOUND);

  world.alter = undefined;
  await world.clock.advance(MINUTE);
  expect(connection.status.leases).toMatchObject([{ state: 'valid' }]);
  await world.clock.until(connection.close());
});

it.each(NONE)('a renewal with a duration of %j is a failed attempt', async (duration) => {
  const world = new AlteredVault();
  const life = await world.live();
  const { connection } = life;
  await world.clock.until(connection.leases.get(PATH));
  world.alterAll(RENEWAL, ({ body }) => (body.lease_duration = duration));
  await world.clock.advance(45_000);
  expect(life.of('renewal-failed')[0]).toMatchObject({ error: INVALID });
  expect(connection.status).toMatchObject({ health: 'degraded', leases: [{ state: 'degraded' }] });
  expect(world.vault.count(RENEWAL)).toBeLessThanOrEqual(BOUND);

  world.alter = undefined;
  await world.clock.advance(15_000);
  expect(connection.status.health).toBe('up');
  expect(life.of('expired')).toEqual([]);
  await world.clock.until(connection.close());
});

// 0 would mean a token without expiry.
it.each([...NONE, [0]])('a login with a duration of %j is a failed attempt', async (duration) => {
  const world = new AlteredVault();
  world.alterAll(LOGIN, ({ body }) => (body.auth.lease_duration = duration));
  expect(await failureOf(world.live({}, { startup: { timeout: MINUTE } }))).toMatchObject(INVALID);
  expect(world.vault.count(LOGIN)).toBeLessThanOrEqual(BOUND);
});

it.each(NONE)('a renewal of the token with a duration of %j is a failed attempt', async (duration) => {
  const world = new AlteredVault();
  const life = await world.live();
  const { connection } = life;
  world.alterAll(TOKEN_RENEWAL, ({ body }) => (body.auth.lease_duration = duration));
  await world.clock.advance(5_200_000);
  expect(life.of('token-renewal-failed')[0]).toMatchObject({ error: INVALID });
  expect(connection.status.session).toMatchObject({ state: 'degraded', validUntil: expect.any(Date) });
  expect(world.vault.count(TOKEN_RENEWAL)).toBeLessThanOrEqual(BOUND);

  world.alter = undefined;
  await world.clock.advance(400_000);
  expect(connection.status.session).toMatchObject({ state: 'valid', sequence: 1 });
  await world.clock.until(connection.close());
});

it.each(NONE)('a given token whose look-up answers a TTL of %j is not accepted', async (duration) => {
  const world = new AlteredVault();
  world.alterAll(LOOK_UP, ({ body }) => (body.data.ttl = duration));
  const failure = await failureOf(world.live({}, { auth: token('root'), startup: { timeout: MINUTE } }));
  expect(failure).toMatchObject(INVALID);
  expect(world.vault.count(LOOK_UP)).toBeLessThanOrEqual(BOUND);
});

it.each(['0.001', '0', '-5', '1e-9', 'Infinity', 'now', ''])(
  'no value of Retry-After (%j) causes more requests',
  async (retryAfter) => {
    const world = new AlteredVault();
    const { connection } = await world.live();
    world.vault.answer(503, { errors: ['Vault is sealed'] }, ISSUE, { 'retry-after': retryAfter });
    const first = failureOf(connection.leases.get(PATH, MINUTE));
    await world.clock.advance(MINUTE);
    expect(await first).toMatchObject({ code: 'VAULT_SEALED' });
    expect(world.vault.count(ISSUE)).toBeLessThanOrEqual(BOUND);
    await world.clock.until(connection.close());
  },
);

it('a lease of a second, which renewals do not extend: two requests a second at most', async () => {
  const world = new AlteredVault();
  const { connection } = await world.live();
  world.alterAll(/leases\/renew|creds/, ({ body }) => (body.lease_duration = 1));
  const first = connection.leases.get(PATH);
  await world.clock.advance(MINUTE);
  await first;
  expect(world.vault.count(/creds|leases/)).toBeLessThanOrEqual(125);
  await world.clock.until(connection.close());
});

/** The result after a success: nothing. */
async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => {
      expect(error).toBeInstanceOf(VaultError);
      return error;
    },
  );
}

it.each([[0.01], [-5], [1e300], ['7'], [null], [{}]])(
  'a static role that answers a period of %j is neither dropped nor read all the time',
  async (ttl) => {
    const world = new AlteredVault();
    await world.vault.staticRole('orders', { username: 'orders', rotationPeriod: '1h' });
    const { connection } = await world.live();
    world.alterAll(/static-creds/, ({ body }) => (body.data.ttl = ttl));
    await world.clock.until(connection.leases.get('database/static-creds/orders'));
    await world.clock.advance(10 * MINUTE);
    expect(connection.leases.current('database/static-creds/orders')).toBeDefined();
    expect(world.vault.count(/static-creds/)).toBeLessThanOrEqual(10 * BOUND);
    await world.clock.until(connection.close());
  },
);
