import { expect, it } from 'vitest';
import { appRole } from '../../../lib/auth/app-role.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus, type VaultEvent } from '../../../lib/events/events.js';
import { AlteredVault } from '../../support/altered-vault.js';
import { failureOf } from '../../support/leaks.js';
import { KeptLines } from '../../support/log-lines.js';

const MINUTE = 60_000;
const LEASES = 40;

/** A connection with forty leases of an hour, after half of it. */
async function fleet(tokenTtl = 100 * 3_600) {
  const world = new AlteredVault();
  const { connection, bus } = await world.live({ tokenTtl, tokenMaxTtl: 200 * 3_600 });
  const lines = new KeptLines(bus.events$);
  const failed: VaultEvent[] = [];
  bus.events$.subscribe((event) => event.type.endsWith('-failed') && failed.push(event));
  for (let index = 0; index < LEASES; index++) {
    world.vault.databaseRole(`role-${index}`, { defaultTtl: 3_600, maxTtl: 36_000 });
    connection.leases.watch(`database/creds/role-${index}`, false).subscribe();
  }
  await world.clock.advance(30 * MINUTE);
  expect(lines.take()).toEqual({ issued: LEASES });
  return { clock: world.clock, vault: world.vault, connection, lines, failed };
}

it('an outage that the leases outlive is one line, and its end another one', async () => {
  const { clock, vault, connection, lines, failed } = await fleet();
  vault.seal();
  await clock.advance(20 * MINUTE);
  // The renewals are due after 40 minutes, so each has failed by now, many times.
  expect(new Set(failed.map((event) => 'path' in event && event.path)).size).toBe(LEASES);
  expect(lines.take()).toEqual({ 'vault-unreachable': 1 });
  const failedAttempts = failed.length;
  vault.unseal();
  await clock.advance(9 * MINUTE);
  const [recovered] = lines.shown;
  expect(recovered).toMatchObject({ code: 'vault-recovered', failedAttempts, affected: LEASES });
  expect(lines.take()).toEqual({ 'vault-recovered': 1, renewed: LEASES });
  await clock.until(connection.close());
  expect(lines.take()).toEqual({ 'token-ended': 1 });
});

it('a server that hangs is one line for the renewals, and one for each mount', async () => {
  const { clock, vault, lines, failed } = await fleet();
  const end = vault.delay(10 * MINUTE, { match: /leases/ }, { before: true });
  await clock.advance(20 * MINUTE);
  expect(failed.length).toBeGreaterThan(LEASES);
  expect(lines.take()).toEqual({ 'renewal-failed': 1 });
  end();
  await clock.advance(9 * MINUTE);
  const [ended] = lines.shown.filter(({ code }) => code === 'failures-ended');
  expect(ended).toMatchObject({
    errorCode: 'VAULT_TIMEOUT',
    failedAttempts: failed.length,
    affected: LEASES,
  });
  expect(lines.take()).toEqual({ renewed: LEASES, 'failures-ended': 1 });
});

it('a server that stops, but still accepts connections, is unreachable', async () => {
  const { clock, vault, connection, lines, failed } = await fleet(3_600);
  vault.kv().put('a', { value: 'one' });
  const watch = connection.secrets.watch('a', { every: MINUTE }).subscribe();
  const end = vault.delay(60 * MINUTE, undefined, { before: true });
  await clock.advance(20 * MINUTE);
  expect(new Set(failed.map(({ type }) => type)).size).toBe(3);
  // The first request without an answer proves nothing: the reason may be its own mount. That of the token does.
  expect(lines.take()).toEqual({ 'secret-read-failed': 1, 'vault-unreachable': 1 });
  end();
  await clock.advance(9 * MINUTE);
  const recovered = lines.shown.find(({ code }) => code === 'vault-recovered');
  expect(recovered).toMatchObject({ affected: LEASES + 2 });
  expect(lines.take()).toEqual({
    renewed: LEASES,
    'token-renewed': 1,
    'secret-recovered': 1,
    'vault-recovered': 1,
  });
  watch.unsubscribe();
});

it('leases and watches that are released in trouble leave it, and the last one ends it', async () => {
  const { clock, vault, connection, lines } = await fleet();
  vault.kv().put('a', { value: 'one' });
  const watch = connection.secrets.watch('a', { every: MINUTE }).subscribe();
  await clock.advance(1_000);
  vault.answer(500, { errors: ['internal error'] }, { match: /leases.renew|secret.data/ });
  await clock.advance(15 * MINUTE);
  expect(lines.take()).toEqual({ 'renewal-failed': 1, 'secret-read-failed': 1 });
  watch.unsubscribe();
  expect(lines.shown).toMatchObject([
    { code: 'failures-ended', path: 'secret/a', errorCode: 'VAULT_SERVER_ERROR' },
  ]);
  lines.take();
  for (let index = 0; index < LEASES; index++) {
    expect(lines.take()['failures-ended']).toBeUndefined();
    await clock.until(connection.leases.release(`database/creds/role-${index}`));
  }
  expect(lines.take()).toMatchObject({ 'failures-ended': 1 });
  // Nobody waits for a first lease any more, because waiting cannot help.
  vault.clearFaults();
  vault.databaseRole('new');
  const failure = vault.answer(500, { errors: ['internal error'] }, { match: /creds.new/ });
  const first = failureOf(connection.leases.get('database/creds/new', 30 * MINUTE));
  await clock.advance(10_000);
  expect(lines.take()).toEqual({ 'rotation-failed': 1 });
  failure();
  vault.answer(400, { errors: ['unknown role: new'] }, { match: /creds.new/ });
  expect((await clock.until(first)).code).toBe('VAULT_ROLE_NOT_FOUND');
  expect(lines.take()).toMatchObject({ 'failures-ended': 1 });
});

it('a role that is missing in trouble of another kind has a line of its own', async () => {
  const { clock, vault, connection, lines } = await fleet();
  vault.answer(500, { errors: ['internal error'] }, { match: /leases\/renew/ });
  vault.answer(400, { errors: ['unknown role: role-7'] }, { match: /creds\/role-7/ });
  vault.revokeLease('database/creds/role-7');
  await connection.leases.current('database/creds/role-7')?.lease.reportRejected?.({ confirmed: true });
  await clock.advance(15 * MINUTE);
  expect(lines.shown.filter(({ code }) => code === 'rotation-failed')).toMatchObject([
    { path: 'database/creds/role-7', errorCode: 'VAULT_ROLE_NOT_FOUND', status: 400 },
  ]);
  expect(lines.take()).toEqual({ expired: 1, 'rotation-failed': 1, 'renewal-failed': 1 });
});

it('a login that the server refuses is left to its caller', async () => {
  const world = new AlteredVault();
  const { roleId } = world.vault.appRole('app');
  const options = resolveOptions({
    address: 'http://vault.test',
    auth: appRole({ roleId, secretId: 'wrong' }),
  });
  const bus = new EventBus();
  const lines = new KeptLines(bus.events$);
  const connection = new VaultConnection(options, bus, world.clock, world.transport());
  expect((await failureOf(world.clock.until(connection.login()))).code).toBe('VAULT_LOGIN_INPUT_INVALID');
  await world.clock.until(connection.close());
  // For who looks closely.
  expect(lines.all.map(({ code }) => code)).toContain('login-failed');
  expect(lines.take()).toEqual({});
});
