import { expect, it } from 'vitest';
import { appRole } from '../../../lib/auth/app-role.js';
import type { Clock } from '../../../lib/clock/clock.js';
import type { VaultOptions } from '../../../lib/config/options.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus, type VaultEvent } from '../../../lib/events/events.js';
import { SimulatedVault, VirtualClock } from '../../../lib/testing/index.js';

const PATH = 'database/creds/app';
const RENEW = /sys\/leases\/renew/;

/** One lease of a path, on the simulated server. */
async function start(role: { defaultTtl: string; maxTtl: string }, options: Partial<VaultOptions> = {}) {
  const time = new VirtualClock();
  const timers = { count: 0 };
  const clock: Clock = {
    monotonic: () => time.monotonic(),
    wall: () => time.wall(),
    setTimer: (delay, callback) => {
      timers.count++;
      return time.setTimer(delay, callback);
    },
  };
  const vault = new SimulatedVault({ clock: time });
  vault.databaseRole('app', role);
  const bus = new EventBus();
  const events: VaultEvent[] = [];
  bus.events$.subscribe((event) => void events.push(event));
  const { roleId, secretId } = vault.appRole('app');
  const auth = appRole({ roleId, secretId });
  const resolved = resolveOptions({ address: 'http://vault.test', auth, retry: { jitter: 0 }, ...options });
  const connection = new VaultConnection(resolved, bus, clock, vault.transport());
  const { lease } = await time.until(connection.leases.get(PATH));
  const replace = async () => {
    await time.until(lease.reportRejected!({ confirmed: true }));
    await time.advance(1_000);
  };
  return { time, timers, vault, bus, events, connection, lease, replace };
}

it('a renewal that outlasts a held lease sets no timer after another', async () => {
  // Attempts follow each other at once, so that one of them is under way at the end of the lease.
  const retry = { initialDelay: 10, maxDelay: 10, jitter: 0 };
  const { time, timers, vault, connection, lease, replace } = await start(
    { defaultTtl: '10s', maxTtl: '1h' },
    { retry },
  );
  lease.hold();
  await replace();
  vault.delay(60_000, RENEW, { before: true });
  for (let second = 0; second < 12; second++) await time.advance(1_000);
  expect(timers.count).toBeLessThan(60);
  await time.until(connection.close());
});

it('a path is released while its replacement hangs: no timer after another', async () => {
  const { time, timers, vault, connection, lease } = await start({ defaultTtl: '1h', maxTtl: '24h' });
  lease.hold();
  vault.delay(8_000, /database\/creds/, { before: true });
  vault.revokeLease(PATH);
  await time.until(lease.reportRejected!({ confirmed: false }));
  const released = connection.leases.release(PATH);
  const before = timers.count;
  for (let second = 0; second < 5; second++) await time.advance(1_000);
  expect(timers.count - before).toBeLessThan(20);
  await time.advance(10_000);
  await time.until(released);
  await time.until(connection.close());
});

it.each([
  ['one request fails during the close', 1, false],
  ['its retry was delayed before the close', Infinity, true],
])('shutdown without revocation leaves no lease: %s', async (_, times, before) => {
  const options = { shutdown: { revoke: false }, renewal: { grace: 1_000 } };
  const { time, vault, connection, replace } = await start({ defaultTtl: '1h', maxTtl: '24h' }, options);
  const end = vault.answer(503, { errors: ['busy'] }, { times, match: RENEW });
  if (before) {
    await replace();
    await time.advance(100_000);
    end();
  }
  await time.until(connection.close());
  await time.advance(5_000);
  expect(vault.liveLeases).toEqual([]);
});

it('the last hold ends while a renewal waits for its retry: the server is asked at once to end the lease', async () => {
  const { time, vault, events, connection, lease, replace } = await start({
    defaultTtl: '10m',
    maxTtl: '24h',
  });
  const release = lease.hold();
  await replace();
  const end = vault.answer(503, { errors: ['busy'] }, RENEW);
  await time.advance(440_000);
  end();
  release();
  await time.advance(100);
  expect(events.at(-1)).toMatchObject({ type: 'retired', serial: 1, how: 'asked' });
  await time.until(connection.close());
});

it('a clock is set while a renewal waits for its retry: the server is asked before the lease counts as expired', async () => {
  const { time, vault, events, connection, lease, replace } = await start({
    defaultTtl: '10m',
    maxTtl: '24h',
  });
  lease.hold();
  await replace();
  const end = vault.answer(503, { errors: ['busy'] }, RENEW);
  await time.advance(440_000);
  end();
  time.stepWall(300_000);
  await time.advance(60_000);
  const ofFirst = events.filter((event) => 'serial' in event && event.serial === 1).map(({ type }) => type);
  expect(ofFirst).toEqual(['issued', 'renewed']);
  await time.until(connection.close());
});

it('a path that a listener releases as its lease expires is not issued again', async () => {
  const { time, vault, bus, connection } = await start({ defaultTtl: '10m', maxTtl: '10m' });
  let issued = -1;
  bus.events$.subscribe(({ type }) => {
    if (type !== 'expired') return;
    issued = vault.count(/database\/creds/);
    void connection.leases.release(PATH);
  });
  await time.suspend(700_000);
  await time.advance(40_000);
  expect(issued).toBe(1);
  expect(vault.count(/database\/creds/)).toBe(issued);
  await time.until(connection.close());
});
