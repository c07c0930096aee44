import { expect, it } from 'vitest';
import { AlteredVault } from '../../support/altered-vault.js';

const PATH = 'database/creds/app';

/** `validUntil` is what `ttl` adds up to, from the last grant on. */
async function worldOf(ttls: Partial<Parameters<AlteredVault['live']>[0]>) {
  const world = new AlteredVault();
  const { connection } = await world.live(ttls);
  const { lease } = await world.clock.until(connection.leases.get(PATH));
  const release = lease.hold({ drain: 0 });
  return { world, connection, release };
}

it('the status has the granted TTL, its deadline and the reason: TTL, max TTL, and superseded leases that are held', async () => {
  const { world, connection, release } = await worldOf({ ttl: 60, maxTtl: 90, tokenTtl: 3_600 });
  const start = world.clock.wall();
  expect(connection.status.session).toMatchObject({ ttl: 3_600_000, endsBy: 'ttl' });
  expect(connection.leases.statusOf(PATH)).toMatchObject({
    serial: 1,
    ttl: 60_000,
    endsBy: 'ttl',
    ending: [],
  });
  const seen = new Set<string>();
  for (let second = 0; second < 89; second++) {
    await world.clock.advance(1_000);
    const { serial, ttl = 0, endsBy, validUntil, ending } = connection.leases.statusOf(PATH) ?? {};
    const left = (validUntil?.getTime() ?? 0) - world.clock.wall();
    expect(left).toBeLessThanOrEqual(ttl);
    seen.add(
      `#${serial} ${ttl / 1_000} ${endsBy} ${ending?.map((one) => `#${one.serial} ${one.held}`).join()}`,
    );
  }
  // Each is renewed after some 40 s, for the 50 s up to the max TTL; then it is replaced. The first is still held.
  const [first, ...later] = [...seen];
  expect(first).toBe('#1 60 ttl ');
  expect(later.at(-1)).toBe('#3 60 ttl #1 true,#2 false');
  const [held] = connection.leases.statusOf(PATH)?.ending ?? [];
  // Servers send whole seconds.
  expect(held?.validUntil.getTime()).toBeLessThanOrEqual(start + 91_000);
  release();
  await world.clock.until(connection.close());
});

it('a lease that its token cuts short ends by the token, at its deadline', async () => {
  const { world, connection, release } = await worldOf({ ttl: 600, maxTtl: 6_000, tokenTtl: 60 });
  const { ttl, endsBy, validUntil } = connection.leases.statusOf(PATH) ?? {};
  expect({ ttl, endsBy }).toEqual({ ttl: 600_000, endsBy: 'token' });
  expect(validUntil).toEqual(connection.status.session.validUntil);
  release();
  await world.clock.until(connection.close());
});
