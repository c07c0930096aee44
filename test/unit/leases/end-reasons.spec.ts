import { expect, it } from 'vitest';
import type { VaultEvent } from '../../../lib/events/events.js';
import { AlteredVault } from '../../support/altered-vault.js';

const MINUTE = 60_000;
const PATH = 'database/creds/app';

/** A connection with a lease of a minute. */
async function start(tokenTtl = 120) {
  const world = new AlteredVault();
  const { connection, bus } = await world.live({
    ttl: 60,
    maxTtl: 3_600,
    tokenTtl,
    tokenMaxTtl: 72_000,
  });
  const reasons: string[] = [];
  bus.events$.subscribe((event: VaultEvent) => {
    if (event.type === 'login' || event.type === 'rotated') reasons.push(`${event.type} ${event.reason}`);
  });
  connection.leases.watch(PATH, true).subscribe();
  await world.clock.advance(MINUTE);
  const take = () => reasons.splice(0).sort();
  expect(take()).toEqual([]);
  return { clock: world.clock, vault: world.vault, take };
}

it('what ends in an outage because its time is over is not lost; what is revoked right after it is', async () => {
  const { clock, vault, take } = await start();
  vault.seal();
  await clock.advance(10 * MINUTE);
  vault.unseal();
  await clock.advance(2 * MINUTE);
  expect(take()).toEqual(['login expired', 'rotated expired']);
  vault.revokeLease(PATH);
  await clock.advance(MINUTE);
  expect(take()).toEqual(['rotated lease-lost']);
  vault.revokeAllTokens();
  await clock.advance(2 * MINUTE);
  expect(take()).toEqual(['login token-lost', 'rotated lease-lost']);
});

it('a lease that ends in an outage, under a token that outlives it', async () => {
  const { clock, vault, take } = await start(3_600);
  vault.seal();
  await clock.advance(70_000);
  vault.unseal();
  await clock.advance(MINUTE);
  expect(take()).toEqual(['rotated expired']);
});

it('logins are refused until the token has ended', async () => {
  const { clock, vault, take } = await start();
  const end = vault.answer(500, { errors: ['internal error'] }, { match: /approle.login/ });
  const denied = vault.answer(403, { errors: ['permission denied'] }, { match: /renew-self/ });
  await clock.advance(5 * MINUTE);
  end();
  denied();
  await clock.advance(5 * MINUTE);
  expect(take()).toEqual(['login expired', 'rotated expired']);
});
