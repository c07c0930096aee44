import { afterEach, beforeEach, expect, it } from 'vitest';
import { Telemetry } from '../../support/telemetry.js';
import { World } from './world.js';

let world: World;
let telemetry: Telemetry;

beforeEach(() => {
  world = new World();
  telemetry = new Telemetry();
});

afterEach(async () => {
  await world.end();
  telemetry.end();
});

const leased = (connection = world.connect()) =>
  world.clock.until(connection.leases.get('database/creds/app'));

it('one life: login, issue, renewal, rotation', async () => {
  await leased();
  expect(await telemetry.value('logins', { reason: 'start' })).toBe(1);
  expect(await telemetry.value('leases.issued')).toBe(1);
  expect(await telemetry.value('leases', { state: 'valid' })).toBe(1);
  expect(await telemetry.value('lease.time_to_expiry', { path: 'database/creds/app' })).toBe(60);
  expect(await telemetry.value('token.time_to_expiry')).toBe(600);
  expect(await telemetry.value('rotations')).toBe(0);
  await world.pass(400_000);
  const renewals = await telemetry.value('leases.renewed');
  const rotations = await telemetry.value('rotations', { reason: 'max-ttl' });
  expect(renewals).toBeGreaterThan(2);
  expect(rotations).toBeGreaterThan(0);
  expect(await telemetry.value('leases.issued')).toBe(1 + (rotations ?? 0));
});
