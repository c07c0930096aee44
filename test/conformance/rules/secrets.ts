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
  simulated('F6', 'a folder is followed as one value: n + 1 requests a round', async (world) => {
    const life = await world.start({ role: LONG, watch: false, login: { period: 36_000 } });
    const secret = world.vault!.kv();
    for (const name of ['a', 'b', 'c/d']) secret.put(`team/${name}`, { key: name });
    const seen: string[] = [];
    const ends: unknown[] = [];
    const watch$ = life.connection.secrets.watchFolder<{ key: string }>('team', { every: MINUTE });
    watch$.subscribe({
      next: (folder) => seen.push([...folder].map(([name, { data }]) => name + data.reveal().key).join()),
      error: (error: unknown) => ends.push(error),
      complete: () => ends.push('complete'),
    });
    await world.advance(SECOND);
    expect(world.requests(/^secret\//)).toHaveLength(3);
    await world.advance(5 * MINUTE);
    secret.put('team/e', { key: 'e' });
    await world.advance(2 * MINUTE);
    world.network.cut(/^secret\/data\/team\/a/);
    secret.delete('team/b');
    await world.advance(5 * MINUTE);
    expect(life.connection.status.secrets).toMatchObject([{ path: 'secret/team/', state: 'degraded' }]);
    world.network.restore();
    await world.advance(2 * MINUTE);
    expect(seen).toEqual(['aa,bb', 'aa,bb,ee', 'aa,ee']);
    await world.settled(life.connection.close());
    expect(ends).toEqual(['complete']);
  }),
  simulated('F7', '50 writers of one secret: `update` loses no change', async (world) => {
    const life = await world.start({ role: LONG, watch: false, login: { period: 36_000 } });
    const rights = 'path "secret/data/*" { capabilities = ["create", "read", "update"] }';
    world.vault!.policy(world.name, rights);
    const { secrets: kv } = life.connection;
    const writers = Array.from({ length: 50 }, (_, index) =>
      kv.update<{ count?: number }>('shared', (current) => {
        const data = current?.data.reveal();
        return { ...data, [`writer-${index}`]: index, count: (data?.count ?? 0) + 1 };
      }),
    );
    const written = await world.settled(Promise.all(writers));
    expect(new Set(written.map(({ version }) => version)).size).toBe(50);
    const { data } = await world.settled(kv.read<{ count: number }>('shared'));
    expect(data.reveal().count).toBe(50);
    expect(Object.keys(data.reveal())).toHaveLength(51);
  }),
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
