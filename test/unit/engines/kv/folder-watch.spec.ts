import { expect, it } from 'vitest';
import { appRole } from '../../../../lib/auth/app-role.js';
import type { KvFolder } from '../../../../lib/engines/kv/kv-watched.js';
import type { KvWatchOptions } from '../../../../lib/engines/kv/kv-watch.js';
import type { VaultError } from '../../../../lib/errors/vault-error.js';
import { SimulatedVault, VirtualClock } from '../../../../lib/testing/index.js';
import { live } from '../../../conformance/life.js';
import { expectNoLeak, failureOf } from '../../../support/leaks.js';

const CANARY = 'canary-of-the-folder-5e1d';
const MINUTE = 60_000;
const ALLOWED = 'path "secret/*" { capabilities = ["read", "list"] }';

/** A folder `team` with the secrets `a`, `b` and one in a folder of its own, and its watch. */
async function watched(options: KvWatchOptions = {}, policy = ALLOWED) {
  const clock = new VirtualClock();
  const vault = new SimulatedVault({ clock });
  vault.policy('app', policy);
  vault.kv('kv1', 1);
  const { roleId, secretId } = vault.appRole('app', { policies: ['app'], tokenTtl: 36_000 });
  const auth = appRole({ roleId, secretId: secretId() });
  const life = await clock.until(
    live({ address: 'http://vault.test', auth, concurrency: 4 }, undefined, {
      clock,
      transport: vault.transport(),
    }),
  );
  const mount = vault.kv(options.mount, options.kvVersion);
  for (const name of ['a', 'b', 'deep/c']) mount.put(`team/${name}`, { of: name, secret: CANARY });
  vault.clearHistory();
  const seen: KvFolder<{ of: string }>[] = [];
  const ends: unknown[] = [];
  const watch$ = life.connection.secrets.watchFolder<{ of: string }>('team', { every: MINUTE, ...options });
  const subscribe = () =>
    watch$.subscribe({
      next: (folder) => seen.push(folder),
      error: (error: unknown) => ends.push(error),
      complete: () => ends.push('complete'),
    });
  const subscription = subscribe();
  await clock.advance(1_000);
  return {
    ...life,
    clock,
    vault,
    mount,
    seen,
    ends,
    watch$,
    subscribe,
    subscription,
    /** The emissions, as the values by name. */
    values: () =>
      seen.map((folder) =>
        Object.fromEntries([...folder].map(([name, { data }]) => [name, data.reveal().of])),
      ),
    status: () => life.connection.status.secrets,
  };
}

it.each<KvWatchOptions>([{}, { mount: 'kv1', kvVersion: 1 }])(
  'emits the secrets of the folder, and again when one comes, goes or changes (%o)',
  async (options) => {
    const world = await watched(options, `${ALLOWED} path "kv1/*" { capabilities = ["read", "list"] }`);
    const { clock, mount, values, seen, status } = world;
    expect(values()).toEqual([{ a: 'a', b: 'b' }]);
    await clock.advance(10 * MINUTE);
    expect(seen).toHaveLength(1);
    mount.put('team/d', { of: 'd' });
    await clock.advance(2 * MINUTE);
    mount.put('team/a', { of: 'changed' });
    await clock.advance(2 * MINUTE);
    mount.delete('team/b');
    await clock.advance(2 * MINUTE);
    expect(values().slice(1)).toEqual([
      { a: 'a', b: 'b', d: 'd' },
      { a: 'changed', b: 'b', d: 'd' },
      { a: 'changed', d: 'd' },
    ]);
    const name = options.mount ?? 'secret';
    expect(world.of('secret-changed')).toMatchObject([1, 2, 3].map(() => ({ path: `${name}/team/` })));
    expect(status()).toMatchObject([{ path: `${name}/team/`, state: 'valid' }]);
    expectNoLeak([seen, world.events, status()], [CANARY]);
    await clock.until(world.connection.close());
    expect(world.ends).toEqual(['complete']);
  },
);

it('a round is one request for the list and one for each secret, shared by all subscribers', async () => {
  const world = await watched();
  const { clock, vault, subscribe, subscription } = world;
  expect(vault.count(/\/v1\/secret\//)).toBe(3);
  subscribe();
  subscribe();
  expect(vault.count(/\/v1\/secret\//)).toBe(3);
  for (let index = 0; index < 40; index++) world.mount.put(`team/more-${index}`, { of: 'x' });
  // The rounds come a tenth earlier or later.
  await clock.advance(1.2 * MINUTE);
  vault.clearHistory();
  await clock.advance(10 * MINUTE);
  const rounds = vault.count(/metadata\/team/);
  expect(rounds).toBeGreaterThanOrEqual(9);
  expect(rounds).toBeLessThanOrEqual(11);
  expect(vault.count(/\/v1\/secret\//)).toBe(rounds * (1 + 42));
  const gaps = vault.requests(/metadata\/team/).map(({ at }, index, all) => at - (all[index - 1]?.at ?? at));
  expect(new Set(gaps).size).toBeGreaterThan(3);
  subscription.unsubscribe();
  await clock.until(world.connection.close());
});

it('reads at most `concurrency` secrets at a time', async () => {
  const world = await watched();
  const { clock, vault } = world;
  for (let index = 0; index < 20; index++) world.mount.put(`team/more-${index}`, { of: 'x' });
  await clock.advance(MINUTE);
  vault.clearHistory();
  vault.delay(100, /secret\/data\/team/);
  await clock.advance(1.2 * MINUTE);
  const starts = vault.requests(/secret\/data\/team/).map(({ at }) => at);
  expect(starts.length).toBeGreaterThanOrEqual(22);
  const together = [...new Set(starts)].map((at) => starts.filter((one) => one === at).length);
  expect(Math.max(...together)).toBe(4);
  await clock.until(world.connection.close());
});

it('a folder that does not exist is empty, and so is one whose secrets are all gone', async () => {
  const world = await watched();
  const none: number[] = [];
  world.connection.secrets.watchFolder('nothing').subscribe(({ size }) => none.push(size));
  await world.clock.advance(1_000);
  expect(none).toEqual([0]);
  world.mount.delete('team/a');
  world.mount.delete('team/b');
  await world.clock.advance(2 * MINUTE);
  expect(world.values().at(-1)).toEqual({});
  expect(world.ends).toEqual([]);
  await world.clock.until(world.connection.close());
});

it.each([
  ['the list', 'path "secret/data/*" { capabilities = ["read"] }', 'list at secret/metadata/team'],
  [
    'one secret',
    `${ALLOWED} path "secret/data/team/b" { capabilities = ["deny"] }`,
    'read at secret/data/team/b',
  ],
])('%s is denied: the first round ends the stream with its error', async (_what, policy, place) => {
  const { seen, ends, clock, connection, vault } = await watched({}, policy);
  expect(seen).toEqual([]);
  const [error] = ends as VaultError[];
  expect(error).toMatchObject({ code: 'VAULT_PERMISSION_DENIED', status: 403 });
  expect(error?.message).toContain(place);
  expect(connection.status.secrets).toEqual([]);
  vault.clearHistory();
  await clock.advance(10 * MINUTE);
  expect(vault.count(/secret\//)).toBe(0);
  await clock.until(connection.close());
});

it('a list that is denied later keeps the last values, reports it once, and recovers', async () => {
  const world = await watched();
  const { clock, vault, seen, ends, status } = world;
  vault.policy('app', 'path "secret/data/*" { capabilities = ["read"] }');
  await clock.advance(5 * MINUTE);
  expect(world.of('secret-gone')).toMatchObject([
    { path: 'secret/team/', error: { code: 'VAULT_PERMISSION_DENIED' } },
  ]);
  expect(status()).toMatchObject([{ state: 'gone' }]);
  const late: number[] = [];
  world.watch$.subscribe(({ size }) => late.push(size));
  expect(late).toEqual([2]);
  vault.policy('app', ALLOWED);
  world.mount.put('team/e', { of: 'e' });
  await clock.advance(2 * MINUTE);
  expect(seen.map(({ size }) => size)).toEqual([2, 3]);
  expect(status()).toMatchObject([{ state: 'valid' }]);
  expect(ends).toEqual([]);
  await clock.until(world.connection.close());
});

it('an outage keeps the values; a round that failed in part is no emission', async () => {
  const world = await watched();
  const { clock, vault, seen } = world;
  world.mount.put('team/a', { of: 'changed' });
  vault.cut(/data\/team\/b/);
  await clock.advance(10 * MINUTE);
  expect(seen).toHaveLength(1);
  expect(world.status()).toMatchObject([{ state: 'degraded', error: { code: 'VAULT_UNREACHABLE' } }]);
  vault.clearFaults();
  await clock.advance(2 * MINUTE);
  expect(world.values()).toEqual([
    { a: 'a', b: 'b' },
    { a: 'changed', b: 'b' },
  ]);
  await clock.until(world.connection.close());
});

it('after a secret that cannot be read, the other reads of the round are not sent', async () => {
  const world = await watched();
  const { clock, vault } = world;
  for (let index = 0; index < 40; index++) world.mount.put(`team/more-${index}`, { of: 'x' });
  await clock.advance(2 * MINUTE);
  vault.clearHistory();
  vault.cut(/data\/team\/a$/);
  await clock.advance(1.5 * MINUTE);
  const rounds = vault.count(/metadata\/team/);
  expect(rounds).toBeGreaterThan(0);
  expect(vault.count(/data\/team/) - rounds).toBeLessThanOrEqual(rounds * 8);
  await clock.until(world.connection.close());
});

it.each(['', '/team', 'team//x', 'secret/metadata/team'])('the folder %j is refused', async (folder) => {
  const { connection, clock, vault } = await watched();
  vault.clearHistory();
  const first = new Promise((resolve, reject) => {
    connection.secrets.watchFolder(folder).subscribe({ next: resolve, error: reject });
  });
  expect((await failureOf(first)).code).toBe('VAULT_PATH_INVALID');
  expect(vault.count(/secret/)).toBe(0);
  await clock.until(connection.close());
});

/** A folder `large` of 100 secrets, each of which is answered after a tenth of a second. */
async function slow() {
  const world = await watched();
  for (let index = 0; index < 100; index++) world.mount.put(`large/secret-${index}`, { of: 'x' });
  world.vault.delay(100, /secret\/(data|metadata)\//);
  return world;
}

it('a round ends with its last subscriber', async () => {
  const world = await slow();
  const { clock, vault, connection } = world;
  const large = connection.secrets.watchFolder('large', { every: MINUTE });
  for (let index = 0; index < 5; index++) {
    const subscription = large.subscribe();
    await clock.advance(220);
    subscription.unsubscribe();
  }
  vault.clearHistory();
  await clock.advance(20_000);
  // The four under way were sent before.
  expect(vault.count(/data\/large/)).toBe(0);
  await clock.until(connection.close());
});

it('the rounds of a large folder let other reads of the mount in', async () => {
  const world = await slow();
  const { clock, connection } = world;
  connection.secrets.watchFolder('large', { every: MINUTE }).subscribe();
  await clock.advance(300);
  const seen: number[] = [];
  const start = clock.monotonic();
  connection.secrets.watch('team/a').subscribe(() => seen.push(clock.monotonic() - start));
  await clock.advance(20_000);
  expect(seen).toHaveLength(1);
  expect(seen[0]).toBeLessThanOrEqual(400);
  await clock.until(connection.close());
});

it('a folder with more secrets than a rate limit allows at once is read all the same', async () => {
  const world = await watched();
  const { clock, connection, vault } = world;
  for (let index = 0; index < 300; index++) world.mount.put(`large/secret-${index}`, { of: 'x' });
  vault.rateLimit({ rate: 100, path: 'secret' });
  vault.clearHistory();
  const sizes: number[] = [];
  connection.secrets.watchFolder('large', { every: MINUTE }).subscribe(({ size }) => sizes.push(size));
  await clock.advance(20_000);
  expect(sizes).toEqual([300]);
  expect(vault.count(/data\/large/)).toBeLessThan(350);
  await clock.until(connection.close());
});

it('a server that lags behind does not bring an older secret of the folder back', async () => {
  const world = await watched();
  const { clock, mount, vault } = world;
  await clock.advance(1_000);
  mount.put('team/a', { of: 'second' });
  await clock.advance(1.5 * MINUTE);
  let reads = 0;
  const metadata = { version: 1, created_time: '2020-01-01T00:00:00Z' };
  vault.answer(
    200,
    { data: { data: { of: 'a' }, metadata } },
    ({ path }) => path.includes('data/team/a') && reads++ % 2 === 0,
  );
  await clock.advance(10 * MINUTE);
  expect(world.values()).toEqual([
    { a: 'a', b: 'b' },
    { a: 'second', b: 'b' },
  ]);
  await clock.until(world.connection.close());
});

it('changes that one subscriber makes to what it gets reach neither the others nor the watch', async () => {
  const world = await watched();
  const { clock, mount, values, seen, watch$ } = world;
  watch$.subscribe((folder) => {
    (folder as Map<string, unknown>).delete('b');
    const secret = folder.get('a');
    if (!secret) return;
    secret.data.reveal().of = 'overwritten';
    secret.createdAt?.setTime(0);
  });
  const late: unknown[] = [];
  const read = () =>
    watch$.subscribe((folder) =>
      late.push(Object.fromEntries([...folder].map(([name, { data }]) => [name, data.reveal().of]))),
    );
  read();
  expect(late).toEqual([{ a: 'a', b: 'b' }]);
  await clock.advance(3 * MINUTE);
  expect(seen).toHaveLength(1);
  mount.put('team/a', { of: 'second' });
  await clock.advance(1.5 * MINUTE);
  expect([values().at(-1), late.at(-1)]).toEqual([
    { a: 'second', b: 'b' },
    { a: 'second', b: 'b' },
  ]);
  await clock.until(world.connection.close());
});

it('a listed name that is no path is left out, with a warning', async () => {
  const world = await watched();
  const { clock, vault, connection } = world;
  vault.answer(200, { data: { keys: ['a', '..', 'b'] } }, /metadata\/team/);
  const names: string[][] = [];
  connection.secrets
    .watchFolder('team', { every: 2 * MINUTE })
    .subscribe((folder) => names.push([...folder.keys()]));
  await clock.advance(10 * MINUTE);
  expect(names).toEqual([['a', 'b']]);
  const warnings = world.of('warning').filter(({ message }) => message.includes('".."'));
  expect(warnings).toMatchObject([{ code: 'folder-entry-skipped' }]);
  await clock.until(connection.close());
});
