import { expect, it } from 'vitest';
import type { Credentials } from '../../../lib/leases/lease.js';
import { isUserData } from '../../../lib/leases/user-credentials.js';
import { AlteredVault, type Answer } from '../../support/altered-vault.js';

interface Login {
  username: string;
  password: string;
}

const ISSUE = /GET \/v1\/database\/(static-)?creds\//;
const RENEWAL = /leases\/renew$/;
const PATH = 'database/creds/app';
const INVALID = { code: 'VAULT_RESPONSE_INVALID', outcomeUnknown: true };

/** Answers of an intermediary in place of credentials, or changed ones. */
const ANSWERS: [string, (answer: Answer) => void][] = [
  ['a message', (answer) => (answer.body = { data: { message: 'maintenance' } })],
  ['a page of an error as JSON', (answer) => (answer.body = { error: 'bad gateway', status: 502 })],
  ['{}', (answer) => (answer.body = {})],
  ['[]', (answer) => (answer.body = [])],
  ['null as data', ({ body }) => (body.data = null)],
  ['a list as data', ({ body }) => (body.data = [body.data])],
  ['a text as data', ({ body }) => (body.data = 'maintenance')],
  ['a message with a lease', ({ body }) => (body.data = { message: 'maintenance' })],
  ['a user name alone', ({ body }) => delete body.data.password],
  ['a password alone', ({ body }) => delete body.data.username],
  ['no password', ({ body }) => (body.data.password = null)],
  ['an empty password', ({ body }) => (body.data.password = '')],
  ['a number as a password', ({ body }) => (body.data.password = 12_345)],
  ['an object as a user name', ({ body }) => (body.data.username = { toString: 1 })],
  ['no lease', ({ body }) => delete body.lease_id],
  ['an empty lease', ({ body }) => (body.lease_id = '')],
  ['a number as a lease', ({ body }) => (body.lease_id = 7)],
  ['a lease without a duration', ({ body }) => delete body.lease_duration],
];

function isValid(world: AlteredVault, current: Credentials<Login> | undefined): boolean {
  const login = current?.data.reveal();
  return login !== undefined && world.vault.isValid(login.username, login.password);
}

const rotations = (world: AlteredVault) => world.vault.count(ISSUE);

it.each(ANSWERS)(
  'a rotation that is answered with %s is a failed attempt; the valid lease is kept',
  async (_, change) => {
    const world = new AlteredVault();
    const life = await world.live({ ttl: 60, maxTtl: 120 });
    const { connection } = life;
    const seen: Credentials<Login>[] = [];
    const ended: unknown[] = [];
    connection.leases.watch<Login>(PATH, false, undefined, isUserData).subscribe({
      next: (one) => seen.push(one),
      error: (error) => ended.push(error),
      complete: () => ended.push('complete'),
    });
    await world.clock.advance(0);
    world.alterAll(ISSUE, change);
    const valid = () => {
      const current = connection.leases.current<Login>(PATH)?.data.reveal();
      return current !== undefined && world.vault.isValid(current.username, current.password);
    };
    // The second renewal is capped, and a rotation due.
    for (let second = 0; second < 110; second++) {
      await world.clock.advance(1_000);
      expect(valid(), `after ${second} s`).toBe(true);
    }
    expect(life.of('rotation-failed')[0]).toMatchObject({ error: INVALID, reason: 'max-ttl' });
    expect(connection.status).toMatchObject({
      health: 'degraded',
      leases: [{ state: 'degraded', error: INVALID }],
    });
    expect(rotations(world)).toBeLessThanOrEqual(30);
    expect(ended).toEqual([]);
    expect(seen.length).toBe(1);

    world.alter = undefined;
    await world.clock.advance(60_000);
    expect(connection.status.health).toBe('up');
    expect(seen.length).toBe(2);
    expect(valid()).toBe(true);
    // The leases of the bad answers were ended.
    expect(world.vault.leaseCount).toBe(1);
    await world.clock.until(connection.close());
    expect(world.vault.leaseCount).toBe(0);
    expect(ended).toEqual(['complete']);
  },
);

it.each(ANSWERS)(
  'the same until after the end of the lease (%s): no value is published, then a good one',
  async (_, change) => {
    const world = new AlteredVault();
    const life = await world.live({ ttl: 60, maxTtl: 120 });
    const { connection } = life;
    const seen: Login[] = [];
    const ended: unknown[] = [];
    connection.leases.watch<Login>(PATH, false, undefined, isUserData).subscribe({
      next: ({ data }) => seen.push(data.reveal()),
      error: (error) => ended.push(error),
    });
    await world.clock.advance(0);
    world.alterAll(ISSUE, change);
    await world.clock.advance(600_000);
    expect(connection.leases.current(PATH)).toBeUndefined();
    expect(connection.status.health).toBe('down');
    expect(life.of('expired').length).toBe(1);
    world.alter = undefined;
    await world.clock.advance(60_000);
    expect(seen.length).toBe(2);
    expect(seen.every(isUserData)).toBe(true);
    expect(ended).toEqual([]);
    expect(connection.status.health).toBe('up');
    await world.clock.until(connection.close());
  },
);

it.each(ANSWERS.slice(0, 7))(
  'a first issue that is answered with %s is a failed attempt',
  async (_, change) => {
    const world = new AlteredVault();
    const { connection } = await world.live();
    world.alterAll(ISSUE, change);
    const ended: unknown[] = [];
    const seen: unknown[] = [];
    connection.leases.watch<Login>(PATH, false, undefined, isUserData).subscribe({
      next: (one) => seen.push(one),
      error: (error) => ended.push(error),
    });
    await world.clock.advance(10_000);
    expect([seen, ended]).toEqual([[], []]);
    expect(connection.status.leases).toMatchObject([{ state: 'pending', error: INVALID }]);
    world.alter = undefined;
    await world.clock.advance(30_000);
    expect(seen.length).toBe(1);
    await world.clock.until(connection.close());
  },
);

it('a consumer that requires user name and password does not affect consumers of other secrets', async () => {
  const world = new AlteredVault();
  const { connection } = await world.live({ ttl: 60, maxTtl: 120 });
  world.alterAll(ISSUE, ({ body }) => (body.data = { access_key: 'a', secret_key: `s-${body.lease_id}` }));
  const seen: unknown[] = [];
  connection.leases.watch(PATH, false, undefined, isUserData).subscribe((one) => seen.push(one));
  await world.clock.advance(600_000);
  expect(seen.length).toBeGreaterThan(4);
  expect(connection.status.health).toBe('up');
  connection.leases.watch(PATH, false, undefined, isUserData).subscribe();
  await world.clock.advance(600_000);
  expect(seen.length).toBeGreaterThan(8);
  await world.clock.until(connection.close());
});

it('a role that an operator changed is accepted once the previous lease has ended', async () => {
  const world = new AlteredVault();
  const life = await world.live({ ttl: 60, maxTtl: 120 });
  const { connection } = life;
  await world.clock.until(connection.leases.get(PATH));
  world.alterAll(ISSUE, ({ body }) => (body.data = { username: body.data.username, rsa_private_key: 'k' }));
  await world.clock.advance(125_000);
  expect(life.of('rotation-failed').length).toBeGreaterThan(0);
  await world.clock.advance(60_000);
  expect(connection.leases.current(PATH)?.data.reveal()).toMatchObject({ rsa_private_key: 'k' });
  await world.clock.until(connection.close());
});

it('the current lease in an answer to an issue is neither accepted nor ended', async () => {
  const world = new AlteredVault();
  const life = await world.live({ ttl: 60, maxTtl: 120 });
  const { connection } = life;
  let first: unknown;
  world.alterAll(ISSUE, (answer) => (answer.body = first ??= answer.body));
  await world.clock.until(connection.leases.get<Login>(PATH));
  await world.clock.advance(110_000);
  expect(life.of('rotation-failed')[0]).toMatchObject({ error: { code: 'VAULT_RESPONSE_INVALID' } });
  expect(isValid(world, connection.leases.current<Login>(PATH))).toBe(true);
  await world.clock.until(connection.close());
});

it.each<[string, (answer: Answer) => void]>([
  ['no lease', ({ body }) => delete body.lease_id],
  ['the lease of another client', ({ body }) => (body.lease_id = 'database/creds/app/other')],
  ['{}', (answer) => (answer.body = {})],
  ['[]', (answer) => (answer.body = [])],
  ['a message', (answer) => (answer.body = { data: { message: 'maintenance' } })],
])('a renewal that is answered with %s has not renewed', async (_, change) => {
  const world = new AlteredVault();
  const life = await world.live();
  const { connection } = life;
  await world.clock.until(connection.leases.get(PATH));
  world.alterAll(RENEWAL, change);
  await world.clock.advance(45_000);
  expect(life.of('renewed')).toEqual([]);
  expect(connection.status.leases).toMatchObject([{ state: 'degraded', error: INVALID }]);
  await world.clock.until(connection.close());
});

it.each<[string, (answer: Answer) => void]>([
  ['no token', ({ body }) => delete body.auth.client_token],
  ['the token of another client', ({ body }) => (body.auth.accessor = 'of-another')],
  ['nothing of a token', ({ body }) => (body.auth = null)],
  ['a text', ({ body }) => (body.auth = 'renewed')],
  ['{}', (answer) => (answer.body = {})],
])('a renewal of the token that is answered with %s has not renewed', async (_, change) => {
  const world = new AlteredVault();
  const life = await world.live();
  const { connection } = life;
  world.alterAll(/renew-self$/, change);
  await world.clock.advance(5_200_000);
  expect(life.of('token-renewed')).toEqual([]);
  expect(life.of('token-renewal-failed')[0]).toMatchObject({ error: INVALID });
  expect(connection.status.session.state).toBe('degraded');
  await world.clock.until(connection.close());
});

it.each<[string, (answer: Answer) => void]>([
  ['a line break in the token', ({ body }) => (body.auth.client_token = 'a\nb')],
  ['an empty token', ({ body }) => (body.auth.client_token = '')],
  ['uses as a fraction', ({ body }) => (body.auth.num_uses = 0.5)],
  ['nothing', ({ body }) => (body.auth = null)],
])('a login that is answered with %s has failed', async (_, change) => {
  const world = new AlteredVault();
  world.alterAll(/login$/, change);
  const failure = world.live({}, { startup: { timeout: 0 } }).catch((error: unknown) => error);
  expect(await failure).toMatchObject(INVALID);
});

it('a login that repeats the current token has failed, and that token stays valid', async () => {
  const world = new AlteredVault();
  let first: unknown;
  world.alterAll(/login$/, (answer) => (answer.body = first ??= answer.body));
  const life = await world.live({ tokenTtl: 60, tokenMaxTtl: 120 });
  const { connection } = life;
  await world.clock.advance(110_000);
  expect(life.of('login-failed')[0]).toMatchObject({ error: { code: 'VAULT_RESPONSE_INVALID' } });
  expect(life.of('token-ended')).toEqual([]);
  expect(connection.status.session).toMatchObject({ state: 'degraded', sequence: 1 });
  world.alter = undefined;
  await world.clock.advance(60_000);
  expect(connection.status.session.state).toBe('valid');
  await world.clock.until(connection.close());
});

it.each(ANSWERS.slice(0, 7))(
  'a static role that answers %s is read again; its password is kept',
  async (_, change) => {
    const world = new AlteredVault();
    const { connection } = await world.live();
    await world.clock.until(
      Promise.resolve(world.vault.staticRole('fixed', { username: 'fixed', rotationPeriod: 60 })),
    );
    world.vault.policy('app', 'path "database/*" { capabilities = ["read"] }');
    const seen: Credentials<Login>[] = [];
    const ended: unknown[] = [];
    const path = 'database/static-creds/fixed';
    connection.leases.watch<Login>(path, false).subscribe({
      next: (one) => seen.push(one),
      error: (error) => ended.push(error),
    });
    await world.clock.advance(1_000);
    expect([seen.length, ended]).toEqual([1, []]);
    world.alterAll(ISSUE, change);
    await world.clock.advance(120_000);
    expect(connection.leases.current<Login>(path)?.data.reveal()).toEqual(seen[0]?.data.reveal());
    expect(connection.status.health).toBe('degraded');
    world.alter = undefined;
    await world.clock.advance(150_000);
    expect(isValid(world, connection.leases.current<Login>(path))).toBe(true);
    expect(ended).toEqual([]);
    await world.clock.until(connection.close());
  },
);
