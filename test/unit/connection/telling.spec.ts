import { expect, it } from 'vitest';
import { token } from '../../../lib/auth/token.js';
import type { Clock } from '../../../lib/clock/clock.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus } from '../../../lib/events/events.js';
import { SimulatedVault, VirtualClock } from '../../../lib/testing/index.js';

/** Milliseconds that the listener works each time. */
const LONG = 50;

it('a slow listener gets several changes together, and the last one', async () => {
  const time = new VirtualClock();
  let worked = 0;
  const clock: Clock = {
    monotonic: () => time.monotonic() + worked,
    wall: () => time.wall() + worked,
    setTimer: (delay, callback) => time.setTimer(delay, callback),
  };
  const vault = new SimulatedVault({ clock: time });
  // All leases end at once, so that one notification covers them.
  const options = resolveOptions({ address: 'http://vault.test', auth: token('root'), concurrency: 16 });
  const connection = new VaultConnection(options, new EventBus(), clock, vault.transport());
  const counts: number[] = [];
  connection.changes$.subscribe(() => {
    counts.push(connection.status.leases.length);
    worked += LONG;
  });
  await time.until(connection.login());
  for (let role = 0; role < 10; role++) {
    vault.databaseRole(`r${role}`);
    await time.until(connection.leases.get(`database/creds/r${role}`));
  }
  await time.advance(25 * LONG);
  // One notification for the login at once, and a later one for all the rest.
  expect(counts.length).toBeLessThanOrEqual(3);
  expect(counts.at(-1)).toBe(10);

  // Each listener gets the last state, and a release during the pause ends at once.
  const letGo = connection.leases.current('database/creds/r0')?.lease.hold();
  vault.databaseRole('last');
  await time.until(connection.leases.get('database/creds/last'));
  const began = clock.monotonic();
  const closing = connection.close();
  time.setTimer(100, () => letGo?.());
  await time.until(closing);
  expect(clock.monotonic() - began).toBeLessThan(100 + 10 * LONG);
  expect(counts.at(-1)).toBe(0);
});
