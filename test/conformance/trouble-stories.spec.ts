import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { appRole, fromFile, token } from '../../lib/index.js';
import type { Credentials } from '../../lib/leases/lease.js';
import { DENIED, errors, SEALED, story } from './case.js';
import { ISSUE, LOGIN, LONG, LOOKUP_SELF, RENEW, REVOKE_SELF, SECOND } from './rules/rule.js';

const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** The number of tokens without any login. */
const ROOT = 1;
const LASTING = { ttl: 100 * 3_600, maxTtl: 200 * 3_600 };
const READ = /^secret\/data\//;
const POLICY_DENIES = errors('1 error occurred:\n\t* permission denied\n\n');

story(
  'logins work, but the other node does not know their tokens: ever fewer logins, and no token is left',
  async (world) => {
    const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, login: LASTING });
    world.network.answer(/^(?!auth\/approle\/login|auth\/token\/revoke-self)/, 403, DENIED);
    world.clear();
    await world.advance(20 * MINUTE);
    const logins = world.requests(LOGIN).length;
    // A few at first, then one each half minute.
    expect(logins).toBeLessThanOrEqual(70);
    expect(world.requests().length).toBeLessThanOrEqual(8 * logins);
    expect(world.requests(REVOKE_SELF).length).toBeGreaterThanOrEqual(logins - 2);
    expect(life.connection.status.session).toMatchObject({ error: { code: 'VAULT_TOKEN_INVALID' } });
    expect(life.connection.status.session.error!.hint).toMatch(/do not share their tokens/);

    world.network.restore();
    await world.until(() => life.connection.leases.current(world.path) !== undefined, MINUTE);
    expect(await world.isValid(life.published.at(-1)!)).toBe(true);
    await world.advance(MINUTE);
    expect(life.connection.status.health).toBe('up');
    expect(life.ended).toEqual([]);
  },
);

for (const [what, body] of [
  ['an empty body', ''],
  ['its own JSON', '{"message":"Forbidden"}'],
  ['a page', '<html>Forbidden</html>'],
] as const) {
  story(`a gateway answers 403 with ${what} for a while: what is in use stays in use`, async (world) => {
    const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, login: { ttl: 600, maxTtl: 6_000 } });
    world.network.answer(/./, 403, body);
    world.clear();
    // By then renewals have begun to fail.
    await world.advance(7.25 * MINUTE);
    expect(life.connection.leases.current(world.path)).toBeDefined();
    expect(life.of('renewal-failed').length).toBeGreaterThan(0);
    world.network.restore();
    await world.advance(2 * MINUTE);
    expect(await world.isValid(life.published[0]!)).toBe(true);
    expect(life.published).toHaveLength(1);
    expect(life.of('expired')).toEqual([]);
    expect(life.connection.status.health).toBe('up');
  });
}

story('a policy that denies lookup-self does not prove the token invalid', async (world) => {
  const life = await world.start({ role: LONG, login: LASTING });
  world.network.answer(LOOKUP_SELF, 403, POLICY_DENIES);
  world.vault.answer(403, DENIED, { match: /secret\/data/ });
  const read = life.connection.client.read('secret/data/app').catch((error: { code: string }) => error.code);
  expect(await world.settled(read)).toBe('VAULT_TOKEN_INVALID');
  expect(world.requests(LOGIN)).toHaveLength(1);
  expect(life.connection.leases.current(world.path)).toBeDefined();
});

story('a secret source that never returns is reported, and the sources are read again', async (world) => {
  const { roleId, secretId } = world.vault.appRole('hangs', { tokenTtl: 600, tokenMaxTtl: 600 });
  let hangs = false;
  const source = () => (hangs ? new Promise<string>(() => undefined) : secretId());
  const auth = appRole({ roleId, secretId: source });
  const life = await world.start({ role: LONG, options: { auth, timeout: 5 * SECOND } });
  hangs = true;
  await world.until(() => life.of('login-failed').length > 0, 10 * MINUTE);
  expect(life.of('login-failed')[0]!.error).toMatchObject({ code: 'VAULT_TIMEOUT' });
  await world.advance(5 * MINUTE);
  const asked = life.connection.leases.get(world.path).catch((error: { code: string }) => error.code);
  expect(await world.settled(asked)).toBe('VAULT_CREDENTIALS_EXPIRED');
  hangs = false;
  await world.until(() => life.connection.leases.current(world.path) !== undefined, 2 * MINUTE);
  expect(await world.isValid(life.published.at(-1)!)).toBe(true);

  hangs = true;
  await world.advance(8 * MINUTE);
  await world.settled(life.connection.close());
  expect(world.vault.tokenCount).toBe(ROOT);
  expect(world.vault.liveLeases).toEqual([]);
});

story('the token of a login that ends too late is revoked', async (world) => {
  const { roleId, secretId } = world.vault.appRole('slow', { tokenTtl: 600, tokenMaxTtl: 600 });
  let slow = false;
  const source = async () => {
    if (slow) await new Promise<void>((resolve) => void world.clock.setTimer(MINUTE, resolve));
    return secretId();
  };
  const options = { auth: appRole({ roleId, secretId: source }), timeout: 5 * SECOND };
  const life = await world.start({ role: LONG, options });
  slow = true;
  await world.until(() => life.of('login-failed').length > 0, 10 * MINUTE);
  slow = false;
  await world.advance(5 * MINUTE);
  expect(world.vault.tokenCount).toBe(ROOT + 1);
  expect(await world.isValid(life.published.at(-1)!)).toBe(true);
});

for (const [what, when] of [
  ['a minute later', 'later'],
  ['at shutdown', 'at the end'],
] as const) {
  story(`a superseded token whose revocation failed is revoked ${what}`, async (world) => {
    const life = await world.start({ role: { ttl: 300, maxTtl: 300 }, login: { ttl: 600, maxTtl: 600 } });
    world.network.answer(REVOKE_SELF, 503, SEALED);
    await world.until(() => life.of('token-ended').length > 0, 20 * MINUTE);
    expect(life.of('token-ended')[0]).toMatchObject({ how: 'revoke-failed' });
    world.network.restore();
    const tokens = world.vault.tokenCount;
    if (when === 'later') {
      await world.advance(61 * SECOND);
      expect(world.vault.tokenCount).toBeLessThan(tokens);
    }
    await world.settled(life.connection.close());
    expect(world.vault.tokenCount).toBe(ROOT);
    expect(world.vault.liveLeases).toEqual([]);
  });
}

story('a static role is read again after the machine slept through its rotation', async (world) => {
  const life = await world.start({ role: LONG, watch: false, login: LASTING });
  const path = await world.operator.staticRole(24 * 3_600);
  const seen: Credentials<{ username: string; password: string }>[] = [];
  life.connection.leases
    .watch<{ username: string; password: string }>(path, false)
    .subscribe((value) => seen.push(value));
  await world.until(() => seen.length === 1, SECOND);
  await world.advance(20 * HOUR);
  await world.clock.suspend(8 * HOUR);
  await world.until(() => seen.length === 2, MINUTE);
  expect(await world.isValid(seen[1]!)).toBe(true);
});

story('a KV secret is not gone because a login is refused: kept, and read again', async (world) => {
  const { roleId, secretId } = world.vault.appRole('kv', { tokenTtl: 120, tokenMaxTtl: 120 });
  let id = secretId();
  const options = { auth: appRole({ roleId, secretId: () => id }) };
  const life = await world.start({ role: LONG, watch: false, options });
  world.vault.kv().put('app', { key: 'one' });
  const seen: unknown[] = [];
  const watch = () => life.connection.secrets.watch('app', { every: MINUTE, whenGone: 'drop' });
  watch().subscribe((value) => seen.push(value));
  await world.advance(SECOND);
  id = 'wrong';
  await world.advance(4 * MINUTE);
  expect(life.of('secret-gone')).toEqual([]);
  expect(life.connection.status.secrets[0]).toMatchObject({
    state: 'degraded',
    error: { code: 'VAULT_LOGIN_INPUT_INVALID' },
  });
  const late: unknown[] = [];
  watch().subscribe((value) => late.push(value));
  expect(late).toHaveLength(1);
  id = secretId();
  await world.advance(2 * MINUTE);
  expect(life.connection.status.secrets[0]).toMatchObject({ state: 'valid' });
});

story('a clock step does not wake a KV watch early', async (world) => {
  const life = await world.start({ role: LONG, watch: false, login: LASTING });
  world.vault.kv().put('app', { key: 'one' });
  life.connection.secrets.watch('app', { every: 30 * MINUTE }).subscribe();
  await world.advance(MINUTE);
  world.clear();
  world.clock.stepWall(5 * SECOND);
  await world.advance(MINUTE);
  expect(world.requests(READ)).toEqual([]);
  // The read fell due during the suspension.
  await world.clock.suspend(HOUR);
  await world.advance(MINUTE);
  expect(world.requests(READ)).toHaveLength(1);
});

for (const every of [0, -1, 60, NaN, Infinity]) {
  story(`a KV secret cannot be read again every ${every} ms`, async (world) => {
    const life = await world.start({ role: LONG, watch: false, login: LASTING });
    const ended: unknown[] = [];
    life.connection.secrets.watch('app', { every }).subscribe({ error: (error) => ended.push(error) });
    expect(ended).toMatchObject([{ code: 'VAULT_CONFIG_INVALID' }]);
    expect(world.requests(READ)).toEqual([]);
  });
}

story('a KV watch without subscribers is dropped, and none starts after the close', async (world) => {
  const life = await world.start({ role: LONG, watch: false, login: LASTING });
  world.vault.kv().put('app', { key: 'one' });
  const subscription = life.connection.secrets.watch('app', {}).subscribe();
  await world.advance(SECOND);
  expect(life.connection.status.secrets).toHaveLength(1);
  subscription.unsubscribe();
  expect(life.connection.status.secrets).toEqual([]);
  await world.settled(life.connection.close());
  const ended: unknown[] = [];
  life.connection.secrets.watch('app', {}).subscribe({ error: (error) => ended.push(error) });
  expect(ended).toMatchObject([{ code: 'VAULT_CLOSED' }]);
});

story('a held lease that only seems expired is checked before it is dropped', async (world) => {
  const life = await world.start({ role: { ttl: 600, maxTtl: 60_000 }, login: LASTING });
  const [first] = life.published;
  first!.lease.hold();
  await world.settled(first!.lease.reportRejected!({ confirmed: true }));
  await world.until(() => life.published.length === 2, MINUTE);
  world.clear();
  world.clock.stepWall(HOUR);
  await world.advance(31 * SECOND);
  expect(world.requests(RENEW).length).toBeGreaterThanOrEqual(2);
  await world.advance(HOUR);
  expect(await world.isValid(first!)).toBe(true);
  expect(life.of('retired')).toEqual([]);
});

story(
  'an error thrown by a consumer in onEnding does not prevent renewals of other leases',
  async (world) => {
    const thrown: unknown[] = [];
    const note = (error: unknown) => thrown.push(error);
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', note);
    try {
      const life = await world.start({ role: { ttl: 60, maxTtl: 120 }, login: LASTING });
      let notified = 0;
      life.published[0]!.lease.hold({
        onEnding: () => {
          throw new Error('of the application');
        },
      });
      life.published[0]!.lease.hold({ onEnding: () => notified++ });
      await world.advance(10 * MINUTE);
      expect(notified).toBe(1);
      expect(thrown).toMatchObject([{ message: 'of the application' }]);
      expect(life.of('expired')).toEqual([]);
      expect(await world.isValid(life.published.at(-1)!)).toBe(true);
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
  },
);

story('a new token in the file is used, though the server was unreachable when it came', async (world) => {
  const folder = await mkdtemp(join(tmpdir(), 'nestjs-vault-token-'));
  try {
    const file = join(folder, 'token');
    await writeFile(file, world.vault.token({ ttl: 3_600 }));
    const life = await world.start({ role: LONG, options: { auth: token(fromFile(file)) } });
    await world.advance(15 * SECOND);
    world.network.cut();
    await writeFile(file, `${world.vault.token({ ttl: 7_200 })}\n`);
    await world.advance(15 * SECOND);
    world.network.restore();
    await world.advance(2 * MINUTE);
    expect(life.of('login').at(-1)).toMatchObject({ sequence: 2, reason: 'source' });
    expect(life.connection.status.session.state).toBe('valid');
  } finally {
    await rm(folder, { recursive: true });
  }
});

story('while requests drain at shutdown, renewals are retried after failures', async (world) => {
  const life = await world.start({ role: { ttl: 60, maxTtl: 6_000 }, login: LASTING });
  life.connection.freeze();
  world.network.answer(RENEW, 500, errors('internal error'));
  await world.advance(58 * SECOND);
  world.network.restore();
  await world.advance(5 * MINUTE);
  expect(await world.isValid(life.published[0]!)).toBe(true);
  expect(world.requests(ISSUE)).toHaveLength(1);
});

story(
  'a subscriber that comes while there is no value gets the next one, even if it is equal',
  async (world) => {
    const life = await world.start({ role: LONG, watch: false, login: LASTING });
    world.vault.leasedSecret('engine/creds/app', { ttl: 60, maxTtl: 60, data: () => ({ key: 'constant' }) });
    const { leases } = life.connection;
    const early: unknown[] = [];
    leases.watch('engine/creds/app', false).subscribe((value) => early.push(value));
    await world.until(() => early.length === 1, SECOND);
    world.network.cut();
    await world.advance(2 * MINUTE);
    expect(leases.current('engine/creds/app')).toBeUndefined();
    const late: unknown[] = [];
    leases.watch('engine/creds/app', false).subscribe((value) => late.push(value));
    expect(late).toEqual([]);
    world.network.restore();
    await world.until(() => late.length === 1, MINUTE);
  },
);

story('a caller that waits for a first value at shutdown gets VAULT_CLOSED', async (world) => {
  const life = await world.start({ role: LONG, watch: false, login: LASTING });
  world.network.answer(ISSUE, 503, SEALED);
  const asked = life.connection.leases.get(world.path).catch((error: { code: string }) => error.code);
  await world.advance(SECOND);
  await world.settled(life.connection.close());
  expect(await world.settled(asked)).toBe('VAULT_CLOSED');
});
