import { expect, it } from 'vitest';
import { token } from '../../../lib/auth/token.js';
import type { Clock } from '../../../lib/clock/clock.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus } from '../../../lib/events/events.js';
import { SimulatedVault, VirtualClock } from '../../../lib/testing/index.js';

it('a renewal that outlasts a held lease sets no timer after another', async () => {
  const time = new VirtualClock();
  let timers = 0;
  const clock: Clock = {
    monotonic: () => time.monotonic(),
    wall: () => time.wall(),
    setTimer: (delay, callback) => {
      // A loop of timers that are due at once would never end under this clock.
      if (++timers > 1_000) throw new Error('a loop of timers');
      return time.setTimer(delay, callback);
    },
  };
  const vault = new SimulatedVault({ clock: time });
  vault.databaseRole('r', { defaultTtl: '10s', maxTtl: '1h' });
  // Attempts follow each other at once, so that one of them is under way at the end of the lease.
  const retry = { initialDelay: 10, maxDelay: 10, jitter: 0 };
  const options = resolveOptions({ address: 'http://vault.test', auth: token('root'), retry });
  const connection = new VaultConnection(options, new EventBus(), clock, vault.transport());
  const path = 'database/creds/r';
  const first = await time.until(connection.leases.get(path));
  first.lease.hold();
  await time.until(first.lease.reportRejected!({ confirmed: true }));
  await time.advance(1_000);
  expect(connection.leases.current(path)?.lease.serial).toBe(2);

  vault.delay(60_000, { match: /leases.renew/ }, { before: true });
  for (let second = 0; second < 12; second++) await time.advance(1_000);
  expect(timers).toBeLessThan(60);
  await time.until(connection.close());
});
