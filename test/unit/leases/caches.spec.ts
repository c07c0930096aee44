import { expect, it } from 'vitest';
import { AlteredVault } from '../../support/altered-vault.js';
import { simulatedCache } from '../../support/simulated-cache.js';

interface Login {
  username: string;
  password: string;
}

const PATH = 'database/creds/app';
const STEP = 500;

it.each([
  ['40', 20],
  ['0', 60],
  ['50', 10],
  ['-5', 60],
  ['soon', 60],
])('the TTL of a cached answer counts from its creation: Age: %s', async (age, seconds) => {
  const world = new AlteredVault();
  const { connection } = await world.live();
  world.alterAll(/creds/, ({ headers }) => (headers['age'] = age));
  const at = world.clock.wall();
  const { lease } = await world.clock.until(connection.leases.get(PATH));
  const left = (+lease.validUntil - at) / 1_000;
  // Ages are rounded: the client takes a second off the TTL of a cached answer.
  expect(left).toBeGreaterThanOrEqual(seconds - 1);
  expect(left).toBeLessThanOrEqual(seconds);
  await world.clock.until(connection.close());
});

it.each([
  ['60', '60'],
  ['a million', '1000000'],
  ['400 digits', '9'.repeat(400)],
])('a cached answer that has expired (Age: %s) is a failed attempt', async (_, age) => {
  const world = new AlteredVault();
  const { connection } = await world.live();
  world.alterAll(/creds/, ({ headers }) => Object.assign(headers, { age }));
  const first = connection.leases.get(PATH, 20_000).catch((error: unknown) => error);
  await world.clock.advance(20_000);
  expect(await first).toMatchObject({ code: 'VAULT_TIMEOUT' });
  world.alter = undefined;
  await world.clock.advance(30_000);
  expect(connection.status.health).toBe('up');
  await world.clock.until(connection.close());
  expect(world.vault.leaseCount).toBe(0);
});

it.each(['agent', 'stubborn'] as const)(
  'behind a cache (%s), for ten max TTLs of leases and two of tokens, no expired credential is used',
  async (kind) => {
    const world = new AlteredVault();
    let hits = () => 0;
    world.between = (sender) => {
      const cache = simulatedCache(sender, world.clock, kind, 170_000);
      hits = () => cache.hits;
      return cache;
    };
    const life = await world.live({ ttl: 60, maxTtl: 180, tokenTtl: 300, tokenMaxTtl: 900 });
    const { connection } = life;
    await world.clock.until(connection.leases.get(PATH));
    const used = { valid: 0, refused: 0, none: 0 };
    for (const end = world.clock.monotonic() + 1_800_000; world.clock.monotonic() < end;) {
      const current = connection.leases.current<Login>(PATH)?.data.reveal();
      used[
        !current ? 'none' : world.vault.isValid(current.username, current.password) ? 'valid' : 'refused'
      ]++;
      if (!current) expect(connection.status.health).toBe('down');
      await world.clock.advance(STEP);
    }
    expect(hits()).toBeGreaterThan(10);
    expect(used.refused).toBe(0);
    // A cache that can be bypassed has no cost: each lease is used for its whole TTL.
    if (kind === 'agent') {
      expect(used).toEqual({ valid: 3_600, refused: 0, none: 0 });
      expect(life.of('rotated').length).toBeLessThanOrEqual(16);
      expect(life.of('renewal-failed')).toEqual([]);
    }
    await world.clock.until(connection.close());
  },
);
