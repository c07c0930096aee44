import { afterEach, beforeEach, expect, it } from 'vitest';
import type { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { linkOf } from '../../../lib/leases/connection-link.js';
import { PoolEvents } from '../../../lib/integrations/rotation/pool-events.js';
import { BoundedPaths } from '../../../lib/telemetry/bounded-paths.js';
import { METRICS } from '../../../lib/telemetry/names.js';
import { Telemetry } from '../../support/telemetry.js';
import { World } from './world.js';

let world: World;
let telemetry: Telemetry;

beforeEach(() => {
  world = new World();
  telemetry = new Telemetry();
});

afterEach(async () => {
  world.vault.clearFaults();
  world.vault.unseal();
  await world.end();
  telemetry.end();
});

const PATH = 'database/creds/app';
const leased = (connection: VaultConnection = world.connect(), path = PATH) =>
  world.clock.until(connection.leases.get(path));
const value = (...args: Parameters<Telemetry['value']>) => telemetry.value(...args);

it('one life: login, issue, renewals, rotation at the max TTL', async () => {
  await leased();
  expect(await value('logins', { reason: 'start' })).toBe(1);
  expect(await value('leases.issued')).toBe(1);
  expect(await value('leases', { state: 'valid' })).toBe(1);
  expect(await value('leases', { state: 'expired' })).toBe(0);
  expect(await value('lease.time_to_expiry', { path: PATH })).toBe(60);
  expect(await value('token.time_to_expiry')).toBe(600);
  expect(await value('health', { state: 'up' })).toBe(1);
  expect(await value('health', { state: 'down' })).toBe(0);
  // An alert sees the first rotation only if the series was there before.
  expect(await value('rotations', { reason: 'lease-lost' })).toBe(0);
  expect(await value('rotation.duration', { reason: 'first' })).toBe(1);
  await world.pass(200_000);
  const rotations = (await value('rotations', { reason: 'max-ttl' })) as number;
  expect(rotations).toBe(1);
  expect(await value('rotation.duration', { reason: 'max-ttl' })).toBe(rotations);
  expect(await value('leases.issued')).toBe(1 + rotations);
  expect(await value('leases.renewed')).toBeGreaterThan(2);
  expect(await value('leases.expired')).toBe(0);
  expect(await value('request.duration', { operation: 'read' })).toBe(1 + rotations);
  expect(await value('request.duration', { operation: 'login', 'http.response.status_code': 200 })).toBe(1);
});

it('the duration of a request is in seconds, and a failure has its code', async () => {
  const connection = world.connect();
  world.vault.delay(40, { match: /secret/ });
  await world.clock.until(connection.secrets.read('app'));
  await world.clock.until(connection.client.read('secret/data/none').catch(() => undefined));
  const series = (await telemetry.series()).filter(
    ({ name, attributes }) => name === METRICS.requestDuration.name && attributes['operation'] === 'read',
  );
  expect(series).toEqual([
    {
      name: 'nestjs_vault.request.duration',
      unit: 's',
      attributes: { connection: 'default', operation: 'read', 'http.response.status_code': 200 },
      value: 1,
      sum: 0.04,
    },
    {
      name: 'nestjs_vault.request.duration',
      unit: 's',
      attributes: {
        connection: 'default',
        operation: 'read',
        'http.response.status_code': 404,
        'error.type': 'VAULT_SECRET_NOT_FOUND',
      },
      value: 1,
      sum: 0.04,
    },
  ]);
});

it('an outage: the server is not reachable, attempts are counted by kind, the lease expires and comes back', async () => {
  await leased();
  expect(await value('server.reachable')).toBe(1);
  world.vault.seal();
  await world.pass(70_000);
  expect(await value('server.reachable')).toBe(0);
  expect(await value('retries', { kind: 'renewal', 'error.type': 'VAULT_SEALED' })).toBeGreaterThan(0);
  expect(await value('leases.expired')).toBe(1);
  expect(await value('leases', { state: 'expired' })).toBe(1);
  expect(await value('lease.time_to_expiry', { path: PATH })).toBe(0);
  expect(await value('health', { state: 'down' })).toBe(1);
  const sealed = { path: PATH, 'error.type': 'VAULT_SEALED' };
  expect(await value('lease.failures', sealed)).toBeGreaterThan(1);
  expect(await value('token.failures')).toBe(0);
  world.vault.unseal();
  await world.pass(60_000);
  expect(await value('lease.failures')).toBe(0);
  expect(await value('server.reachable')).toBe(1);
  expect(await value('leases', { state: 'valid' })).toBe(1);
});

it('a revoked lease, a revoked token, a database that is down', async () => {
  const connection = world.connect();
  const { lease } = await leased(connection);
  world.vault.revokeLease(PATH);
  await world.clock.until(lease.reportRejected?.({ confirmed: false }) ?? Promise.resolve());
  await world.pass(1_000);
  expect(await value('rotations', { reason: 'lease-lost' })).toBe(1);
  world.vault.revokeAllTokens();
  await world.pass(60_000);
  expect(await value('logins', { reason: 'token-lost' })).toBe(1);
  world.vault.databaseDown();
  world.vault.revokeLease(PATH);
  await world.pass(60_000);
  expect(await value('retries', { kind: 'rotation', 'error.type': 'VAULT_BACKEND_FAILED' })).toBeGreaterThan(
    0,
  );
  expect(
    await value('rotation.duration', { reason: 'lease-lost', 'error.type': 'VAULT_BACKEND_FAILED' }),
  ).toBeGreaterThan(0);
  world.vault.databaseDown(false);
});

it('failed logins, renewals of a token, first issues and reads are retries of their kinds', async () => {
  world.vault.databaseRole('later', { defaultTtl: 60, maxTtl: 200 });
  const connection = world.connect();
  const seen: unknown[] = [];
  connection.secrets.watch('app', { every: 5_000 }).subscribe((one) => seen.push(one));
  await world.pass(0);
  expect(await value('secrets', { state: 'valid' })).toBe(1);
  world.vault.databaseDown();
  connection.leases.watch('database/creds/later', true).subscribe();
  world.vault.answer(503, { errors: [] }, { match: /secret|renew-self/ });
  await world.pass(500_000);
  expect(await value('retries', { kind: 'issue' })).toBeGreaterThan(0);
  expect(await value('retries', { kind: 'read' })).toBeGreaterThan(0);
  expect(await value('retries', { kind: 'token-renewal' })).toBeGreaterThan(0);
  expect(await value('secrets', { state: 'degraded' })).toBe(1);
  expect(await value('lease.failures', { path: 'database/creds/later' })).toBeGreaterThan(0);
  world.vault.answer(503, { errors: [] }, { match: /login/ });
  world.vault.revokeAllTokens();
  await world.pass(60_000);
  expect(await value('token.failures')).toBeGreaterThan(0);
  expect(await value('retries', { kind: 'login' })).toBeGreaterThan(0);
  world.vault.databaseDown(false);
});

it('two connections do not mix, and their counters outlive them', async () => {
  const [one, two] = [world.connect('one'), world.connect('two')];
  await leased(one);
  await leased(two);
  await world.pass(100_000);
  for (const connection of ['one', 'two']) {
    expect(await value('logins', { connection })).toBe(1);
    expect(await value('leases', { connection, state: 'valid' })).toBe(1);
  }
  await world.clock.until(one.close());
  // The SDK never ends the series of a gauge. What has ended must not look like what is about to expire.
  expect(await value('leases', { connection: 'one' })).toBe(0);
  expect(await value('health', { connection: 'one' })).toBe(0);
  expect(await value('server.reachable', { connection: 'one' })).toBe(1);
  expect(await value('lease.time_to_expiry', { connection: 'one' })).toBe(1e9);
  expect(await value('token.time_to_expiry', { connection: 'one' })).toBe(1e9);
  expect(await value('leases', { connection: 'two', state: 'valid' })).toBe(1);
  expect(await value('leases.issued', { connection: 'one' })).toBe(1);
  expect(await value('request.duration', { connection: 'one', operation: 'revoke-self' })).toBe(1);
});

it('connections of one name, in two applications, are one series that hides no trouble', async () => {
  const [first, second] = [world.connect(), world.connect()];
  await leased(first);
  await world.pass(10_000);
  await leased(second);
  expect(await value('leases', { state: 'valid' })).toBe(2);
  expect(await value('lease.time_to_expiry')).toBe(50);
  expect(await value('token.time_to_expiry')).toBe(590);
  // Only the lease of the first one is due.
  world.vault.databaseDown();
  world.vault.revokeToken(1);
  await world.pass(35_000);
  expect(await value('health', { state: 'degraded' })).toBe(1);
  expect(await value('health', { state: 'up' })).toBe(1);
  expect(await value('lease.failures', { path: PATH })).toBeGreaterThan(0);
  await world.clock.until(first.close());
  expect(await value('leases', { state: 'valid' })).toBe(1);
});

it('at most so many paths have a series; a pattern of the application joins paths', async () => {
  telemetry.end();
  telemetry = new Telemetry({ maxPaths: 2, path: (path) => path.replace(/-\d+$/, '-{id}') });
  const connection = world.connect();
  const names = ['tenant-1', 'tenant-2', 'b', 'c', 'd'];
  for (const [index, name] of names.entries()) {
    world.vault.databaseRole(name, { defaultTtl: 60 + index, maxTtl: 200 });
    await leased(connection, `database/creds/${name}`);
  }
  const expiries = (await telemetry.series()).filter(({ name }) => name === METRICS.leaseTimeToExpiry.name);
  const least = Object.fromEntries(expiries.map((one) => [one.attributes['path'], one.value]));
  expect(least).toEqual({ 'database/creds/tenant-{id}': 60, 'database/creds/b': 62, other: 63 });
});

it('paths that come and go are limited in all, as the SDK keeps each series', () => {
  const paths = new BoundedPaths((path) => path, 2);
  const shown = Array.from({ length: 600 }, (_, index) => {
    paths.keep([`tenants/${index}`]);
    return paths.shown(`tenants/${index}`);
  });
  expect(new Set(shown).size).toBe(500 + 1);
  expect(shown.at(-1)).toBe('other');
  paths.keep(['tenants/7']);
  expect(paths.shown('tenants/7')).toBe('tenants/7');
});

it('a pool: connections by generation, drains and events', async () => {
  const connection = world.connect();
  const { lease } = await leased(connection);
  const pool = new PoolEvents('pg', () => undefined);
  const remove = linkOf(lease)?.addPool(() => ({
    driver: 'pg',
    path: PATH,
    connections: 3,
    superseded: 2,
    drains: [{ serial: 1, connections: 2, until: new Date(0) }],
    counters: pool.counters,
  }));
  pool.emit(lease, { type: 'rotated', superseded: 2 });
  pool.emit(lease, { type: 'drain-timeout', count: 2 });
  const of = { driver: 'pg', path: PATH };
  expect(await value('pool.connections', { ...of, generation: 'current' })).toBe(3);
  expect(await value('pool.connections', { ...of, generation: 'superseded' })).toBe(2);
  expect(await value('pool.drains', of)).toBe(1);
  expect(await value('pool.events', { driver: 'pg', type: 'rotated' })).toBe(1);
  expect(await value('pool.events', { driver: 'pg', type: 'drain-timeout' })).toBe(2);
  expect(await value('pool.events', { driver: 'pg', type: 'refused' })).toBe(0);
  remove?.();
  expect(await value('pool.connections')).toBe(0);
  expect(await value('pool.events', { type: 'rotated' })).toBe(1);
});

it('one that is created late knows a connection from its next event or request', async () => {
  telemetry.end();
  const connection = world.connect();
  await leased(connection);
  telemetry = new Telemetry();
  expect(await telemetry.series()).toEqual([]);
  await world.clock.until(connection.secrets.read('app'));
  expect(await value('leases', { state: 'valid' })).toBe(1);
  expect(await value('logins')).toBe(0);
});

it('names, units and attributes are those of the list, and every one of them is reported', async () => {
  const connection = world.connect();
  const { lease } = await leased(connection);
  linkOf(lease)?.addPool(() => ({
    driver: 'pg',
    path: PATH,
    connections: 1,
    superseded: 0,
    drains: [],
    counters: new PoolEvents('pg', () => undefined).counters,
  }));
  new PoolEvents('pg', () => undefined).emit(lease, { type: 'refused' });
  world.vault.answer(412, { errors: [] }, { times: 1, match: /secret/ });
  await world.clock.until(connection.secrets.read('app'));
  world.vault.seal();
  await world.pass(50_000);
  world.vault.unseal();
  const series = await telemetry.series();
  const known = new Map(Object.values(METRICS).map((one) => [one.name as string, one]));
  for (const { name, unit, attributes } of series) {
    const { unit: expected, attributes: names } = known.get(name) ?? { unit: '', attributes: [] };
    expect(unit, name).toBe(expected);
    expect(Object.keys(attributes).filter((one) => !(names as readonly string[]).includes(one))).toEqual([]);
  }
  const missing = [...known.keys()].filter((name) => !series.some((one) => one.name === name));
  // Tried over a network: test/integration/resends.spec.ts.
  expect(missing).toEqual(['nestjs_vault.request.resends']);
});
