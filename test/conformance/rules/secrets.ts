import { expect } from 'vitest';
import type { KvSecret } from '../../../lib/engines/kv/read-kv.js';
import type { KvWatchOptions } from '../../../lib/engines/kv/kv-watch.js';
import type { World } from '../world.js';
import { everywhere, LONG, SECOND, simulated, type Rules } from './rule.js';

const MINUTE = 60 * SECOND;
const READ = /^secret\/data\//;

/** A connection, a KV secret at `app`, and the emissions of its watch. */
async function watching(world: World, options: KvWatchOptions = {}) {
  const life = await world.start({ role: LONG, watch: false, login: { period: 36_000 } });
  const secret = world.vault!.kv();
  secret.put('app', { key: 'one' });
  const seen: KvSecret<{ key: string }>[] = [];
  const ends: unknown[] = [];
  const subscribe = (into: KvSecret<{ key: string }>[] = []) =>
    life.connection.secrets.watch<{ key: string }>('app', options).subscribe({
      next: (value) => into.push(value),
      error: (error: unknown) => ends.push(error),
      complete: () => ends.push('complete'),
    });
  const subscription = subscribe(seen);
  await world.advance(SECOND);
  const status = () => life.connection.status.secrets[0];
  const keys = () => seen.map(({ data }) => data.reveal().key);
  return { life, secret, seen, ends, subscribe, subscription, status, keys };
}

/** Rules on watched KV secrets, and on counters. */
export const secrets: Rules = [
  simulated(
    'F2',
    'a new version is seen within the interval, and only changes are emitted',
    async (world) => {
      const { life, secret, status, keys, subscription } = await watching(world);
      await world.advance(30 * MINUTE);
      expect(keys()).toEqual(['one']);
      expect(world.requests(READ).length).toBeLessThanOrEqual(8);
      secret.put('app', { key: 'two' });
      await world.advance(5.6 * MINUTE);
      expect(keys()).toEqual(['one', 'two']);
      expect(life.of('secret-changed')).toMatchObject([{ path: 'secret/app', version: 2 }]);
      expect(status()).toMatchObject({ path: 'secret/app', state: 'valid', version: 2 });

      subscription.unsubscribe();
      world.clear();
      await world.advance(30 * MINUTE);
      expect(world.requests(READ)).toEqual([]);
      expect(life.connection.status.secrets).toEqual([]);
    },
  ),
  simulated(
    'F2',
    'a deleted version is an event; the last value is kept until a new one comes',
    async (world) => {
      const { life, secret, status, keys, subscribe } = await watching(world, { every: MINUTE });
      secret.delete('app');
      await world.advance(5 * MINUTE);
      expect(life.of('secret-gone')).toMatchObject([{ error: { code: 'VAULT_SECRET_DELETED' } }]);
      expect(status()).toMatchObject({ state: 'gone', error: { code: 'VAULT_SECRET_DELETED' } });
      expect(life.connection.status.health).toBe('down');
      const late: KvSecret<{ key: string }>[] = [];
      subscribe(late);
      expect(late.map(({ data }) => data.reveal().key)).toEqual(['one']);
      secret.put('app', { key: 'two' });
      await world.advance(2 * MINUTE);
      expect(keys()).toEqual(['one', 'two']);
      expect(life.connection.status.health).toBe('up');
    },
  ),
  simulated('F4', 'an outage keeps the value, and ends neither stream nor retries', async (world) => {
    const { life, status, keys, ends, secret } = await watching(world, { every: MINUTE });
    world.network.cut(READ);
    await world.advance(10 * MINUTE);
    expect(status()).toMatchObject({ state: 'degraded', error: { code: 'VAULT_UNREACHABLE' } });
    expect(life.connection.status.health).toBe('degraded');
    expect(world.requests(READ).length).toBeLessThan(40);
    secret.put('app', { key: 'two' });
    world.network.restore();
    await world.advance(MINUTE);
    expect(keys()).toEqual(['one', 'two']);
    expect(ends).toEqual([]);
    await world.settled(life.connection.close());
    expect(ends).toEqual(['complete']);
  }),
  simulated(
    'F5',
    'a refusal differs from an outage: `drop` does not replay the value after it',
    async (world) => {
      const { life, keys, subscribe } = await watching(world, { every: MINUTE, whenGone: 'drop' });
      world.network.answer(READ, 503, '{"errors":["Vault is sealed"]}');
      await world.advance(5 * MINUTE);
      const during: KvSecret<{ key: string }>[] = [];
      subscribe(during);
      expect(during).toHaveLength(1);

      world.network.restore();
      await world.advance(MINUTE);
      world.network.answer(READ, 403, '{"errors":["1 error occurred:\\n\\t* permission denied\\n\\n"]}');
      await world.advance(2 * MINUTE);
      expect(life.of('secret-gone')).toMatchObject([{ error: { code: 'VAULT_PERMISSION_DENIED' } }]);
      const late: KvSecret<{ key: string }>[] = [];
      subscribe(late);
      expect(late).toEqual([]);
      world.network.restore();
      await world.advance(2 * MINUTE);
      expect(late).toHaveLength(1);
      expect(keys()).toEqual(['one', 'one']);
    },
  ),
  everywhere('K2', 'requests, failures, logins and rotations are counted', async (world) => {
    const life = await world.start({ role: { ttl: 3, maxTtl: 5 } });
    world.network.cut(/leases\/renew/);
    await world.until(() => life.of('renewal-failed').length > 0, 8 * SECOND);
    world.network.restore();
    await world.until(() => life.of('rotated').length > 0, 10 * SECOND);
    const { counters } = life.connection.status;
    const failed = life.of('renewal-failed').length;
    // A busy database may refuse to make a user; the client retries.
    const refused = life.of('rotation-failed').length;
    const { reason } = life.of('rotated')[0]!;
    expect(counters).toMatchObject({
      requests: {
        login: { total: 1, failed: 0 },
        read: { total: 2 + refused, failed: refused },
        // Past the max TTL, the next renewal may fail in addition.
        ...(refused === 0 && { 'renew-lease': { failed } }),
      },
      errors: { VAULT_UNREACHABLE: failed },
      logins: { start: 1 },
      rotations: { [reason]: 1 },
      issued: 2,
      renewed: life.of('renewed').length,
      expired: life.of('expired').length,
    });
    expect(counters.requests.read!.milliseconds).toBeGreaterThanOrEqual(0);
  }),
];
