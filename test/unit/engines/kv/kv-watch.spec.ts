import { expect, it } from 'vitest';
import { AlteredVault, type Answer } from '../../../support/altered-vault.js';

const READ = /GET \/v1\/(secret\/data|kv1)\//;
const INVALID = { code: 'VAULT_RESPONSE_INVALID' };
type Change = (answer: Answer) => void;

const ANSWERS: [string, Change][] = [
  ['null as data', (answer) => (answer.body = { data: null })],
  ['a message', (answer) => (answer.body = { data: { message: 'maintenance' } })],
  ['{}', (answer) => (answer.body = {})],
  ['[]', (answer) => (answer.body = [])],
  ['a list as data', ({ body }) => (body.data = [1])],
  ['a text as data', ({ body }) => (body.data = 'x')],
];
const OF_VERSION_2: [string, Change][] = [
  ['null in data', ({ body }) => (body.data.data = null)],
  ['a list in data', ({ body }) => (body.data.data = [1])],
  ['a text as metadata', ({ body }) => (body.data.metadata = 'x')],
  ['null as metadata', ({ body }) => (body.data.metadata = null)],
  ['an object as a version', ({ body }) => (body.data.metadata.version = { toString: 1 })],
  ['a fraction as a version', ({ body }) => (body.data.metadata.version = 1.5)],
  ['no time', ({ body }) => delete body.data.metadata.created_time],
  ['an invalid time', ({ body }) => (body.data.metadata.created_time = 'soon')],
  ['a number as a time', ({ body }) => (body.data.metadata.created_time = 1e300)],
  ['a list as custom metadata', ({ body }) => (body.data.metadata.custom_metadata = [1])],
];
const CASES = [
  ...ANSWERS.flatMap(([what, change]) => [[1, what, change] as const, [2, what, change] as const]),
  ...OF_VERSION_2.map(([what, change]) => [2, what, change] as const),
];

async function watched(kvVersion: 1 | 2, whenGone: 'keep' | 'drop') {
  const world = new AlteredVault();
  world.vault.kv('kv1', 1);
  const life = await world.live();
  const { connection } = life;
  world.vault.policy('app', 'path "*" { capabilities = ["create", "read", "update"] }');
  const mount = kvVersion === 1 ? 'kv1' : 'secret';
  const write = (value: string) =>
    world.clock.until(
      connection.client.write(
        kvVersion === 1 ? 'kv1/app' : 'secret/data/app',
        kvVersion === 1 ? { key: value } : { data: { key: value } },
      ),
    );
  await write('one');
  const seen: unknown[] = [];
  const ended: unknown[] = [];
  connection.secrets.watch('app', { mount, kvVersion, every: 60_000, whenGone }).subscribe({
    next: ({ data }) => seen.push(data.reveal()),
    error: (error) => ended.push(error),
  });
  await world.clock.advance(1_000);
  expect([seen, ended]).toEqual([[{ key: 'one' }], []]);
  return { world, life, connection, seen, ended, write };
}

it.each(CASES)('a watch of KV %i that is answered with %s keeps its value', async (kvVersion, _, change) => {
  for (const whenGone of ['keep', 'drop'] as const) {
    const { world, life, connection, seen, ended, write } = await watched(kvVersion, whenGone);
    world.alterAll(READ, change);
    world.vault.clearHistory();
    await world.clock.advance(300_000);
    expect(seen).toEqual([{ key: 'one' }]);
    expect(ended).toEqual([]);
    expect(connection.status).toMatchObject({ health: 'degraded', secrets: [{ state: 'degraded' }] });
    expect(life.of('secret-read-failed').length).toBeGreaterThan(0);
    expect([...life.of('secret-gone'), ...life.of('secret-changed')]).toEqual([]);
    expect(world.vault.count(READ)).toBeLessThanOrEqual(100);

    world.alter = undefined;
    await write('two');
    await world.clock.advance(120_000);
    expect(seen).toEqual([{ key: 'one' }, { key: 'two' }]);
    expect(connection.status.health).toBe('up');
    await world.clock.until(connection.close());
  }
});

it.each(OF_VERSION_2)('a read that is answered with %s fails', async (_, change) => {
  const { world, connection } = await watched(2, 'keep');
  world.alterAll(READ, change);
  const read = connection.secrets.read('app', {}, 0).catch((error: unknown) => error);
  await world.clock.advance(2_000);
  expect(await read).toMatchObject(INVALID);
  await world.clock.until(connection.close());
});

it('a secret that was deleted and created again with the same version is emitted', async () => {
  const { world, connection, seen, ended } = await watched(2, 'keep');
  await world.clock.until(connection.client.delete('secret/metadata/app').catch(() => undefined));
  world.vault.kv().put('app', { key: 'two' });
  await world.clock.advance(120_000);
  expect({ seen, ended }).toEqual({ seen: [{ key: 'one' }, { key: 'two' }], ended: [] });
  await world.clock.until(connection.close());
});

it('a subscriber that takes over from the only other one gets each new value', async () => {
  const { world, connection } = await watched(2, 'keep');
  const { clock, vault } = world;
  vault.kv().put('handed-over', { v: 1 });
  const seen: unknown[] = [];
  const watch = connection.secrets.watch<{ v: number }>('handed-over', { every: 1_000 });
  const first = watch.subscribe();
  await clock.advance(500);
  watch.subscribe(({ data }) => {
    first.unsubscribe();
    seen.push(data.reveal().v);
  });
  await clock.advance(5_000);
  vault.kv().put('handed-over', { v: 2 });
  await clock.advance(5_000);
  expect(seen).toEqual([1, 2]);
  await clock.until(connection.close());
});

it('a secret that is gone is read no more often than before', async () => {
  const { world, life, connection } = await watched(2, 'keep');
  world.vault.kv().delete('app');
  await world.clock.advance(120_000);
  expect(connection.status.secrets).toMatchObject([{ state: 'gone' }]);
  world.vault.clearHistory();
  await world.clock.advance(1_800_000);
  expect(world.vault.count(READ)).toBeGreaterThan(25);
  expect(world.vault.count(READ)).toBeLessThan(35);
  expect(life.of('secret-gone')).toHaveLength(1);
  await world.clock.until(connection.close());
});

it('a read that is under way when the last subscriber leaves reports nothing', async () => {
  const { world, life, connection } = await watched(2, 'keep');
  const { clock, vault } = world;
  vault.kv().put('left', { v: 1 });
  const watching = connection.secrets.watch('left', { every: 1_000 }).subscribe();
  await clock.advance(1_500);
  vault.kv().put('left', { v: 2 });
  vault.delay(5_000, /secret\/data\/left/);
  await clock.advance(2_000);
  watching.unsubscribe();
  const changes = () => life.of('secret-changed').length;
  const before = changes();
  await clock.advance(20_000);
  expect(changes()).toBe(before);
  await clock.until(connection.close());
});

/** Two versions of `app`, and a watch that has seen both; `older` makes the server answer with the first one. */
async function twoVersions() {
  const base = await watched(2, 'keep');
  const { world, write } = base;
  const answers: Answer['body'][] = [];
  let olds: () => boolean = () => false;
  world.alterAll(READ, (answer) => {
    answers.push(structuredClone(answer.body));
    if (olds()) answer.body = answers[0];
  });
  await world.clock.advance(90_000);
  await write('two');
  await world.clock.advance(120_000);
  expect(base.seen).toEqual([{ key: 'one' }, { key: 'two' }]);
  return { ...base, older: (when: () => boolean) => (olds = when) };
}

it('a server of two that lags behind does not bring the older version back', async () => {
  const { world, life, connection, seen, older } = await twoVersions();
  let reads = 0;
  older(() => reads++ % 2 === 0);
  await world.clock.advance(600_000);
  expect(reads).toBeGreaterThan(6);
  expect(seen).toEqual([{ key: 'one' }, { key: 'two' }]);
  expect(connection.status.secrets).toMatchObject([{ version: 2, state: 'valid' }]);
  expect(life.of('secret-changed')).toHaveLength(1);
  await world.clock.until(connection.close());
});

it('an older version that two reads in a row answer counts: a snapshot was restored', async () => {
  const { world, connection, seen, older } = await twoVersions();
  older(() => true);
  await world.clock.advance(300_000);
  expect(seen).toEqual([{ key: 'one' }, { key: 'two' }, { key: 'one' }]);
  expect(connection.status.secrets).toMatchObject([{ version: 1 }]);
  await world.clock.until(connection.close());
});

it.each([1, 2] as const)(
  'what one subscriber of KV %i changes in its value reaches neither the others nor the watch',
  async (kvVersion) => {
    const { world, life, connection, seen, write } = await watched(kvVersion, 'keep');
    const options = {
      mount: kvVersion === 1 ? 'kv1' : 'secret',
      kvVersion,
      every: 60_000,
      whenGone: 'keep',
    } as const;
    const watch = connection.secrets.watch<{ key: string }>('app', options);
    const known = await world.clock.until(connection.secrets.read<{ key: string }>('app', options));
    const begun: unknown[] = [];
    connection.secrets
      .watch<{ key: string }>('app', { ...options, every: 50_000 }, known)
      .subscribe(({ data }) => begun.push(data.reveal()));
    known.data.reveal().key = 'overwritten';
    watch.subscribe((secret) => {
      secret.data.reveal().key = 'overwritten';
      secret.createdAt?.setTime(0);
    });
    const late: unknown[] = [];
    watch.subscribe(({ data }) => late.push(data.reveal()));
    expect(late).toEqual([{ key: 'one' }]);
    await world.clock.advance(300_000);
    expect(life.of('secret-changed')).toEqual([]);
    await write('two');
    await world.clock.advance(120_000);
    for (const values of [seen, late, begun]) expect(values).toEqual([{ key: 'one' }, { key: 'two' }]);
    await world.clock.until(connection.close());
  },
);
