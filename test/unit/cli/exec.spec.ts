import { expect, it } from 'vitest';
import { duration, inWords } from '../../../lib/cli/duration.js';
import { readValues } from '../../../lib/cli/exec/read-values.js';
import { allWanted, wanted } from '../../../lib/cli/exec/wanted.js';
import { connectVault, token } from '../../../lib/core.js';
import { SimulatedVault } from '../../../lib/testing/index.js';

const env = wanted('variable');
const file = wanted('file');
const shown = (flags: Parameters<typeof allWanted>[0]) =>
  allWanted(flags).map(({ variable, path, key, into }) => `${variable}=${path}#${key} ${into}`);

it('a database role gives user name and password in the usual variables', () => {
  expect(shown({ database: 'orders' })).toEqual([
    'DB_USERNAME=database/creds/orders#username variable',
    'DB_PASSWORD=database/creds/orders#password variable',
  ]);
  expect(shown({ database: 'orders', mount: 'team/db', pg: true })).toEqual([
    'PGUSER=team/db/creds/orders#username variable',
    'PGPASSWORD=team/db/creds/orders#password variable',
  ]);
});

it('another variable for the same value, or the same variable for another value, takes its place', () => {
  expect(shown({ database: 'orders', env: env('MYSQL_PWD=database/creds/orders#password') })).toEqual([
    'DB_USERNAME=database/creds/orders#username variable',
    'MYSQL_PWD=database/creds/orders#password variable',
  ]);
  expect(shown({ database: 'orders', file: file('DB_PASSWORD=secret/data/app#key') })).toEqual([
    'DB_USERNAME=database/creds/orders#username variable',
    'DB_PASSWORD=secret/data/app#key file',
  ]);
  expect(shown({ file: file('A=secret/data/app#a', file('B=secret/data/app#b#c')) })).toEqual([
    'B=secret/data/app#b#c file',
    'A=secret/data/app#a file',
  ]);
});

it.each(['A', 'A=path', '=path#key', 'A B=path#key', '1A=path#key', 'A=#key', 'A=path#'])(
  'refuses "%s" with the form that it takes',
  (text) => {
    expect(() => env(text)).toThrow(/NAME=path#key/);
  },
);

it('refuses a variable that is given twice', () => {
  expect(() => env('A=path#key', env('A=path#other'))).toThrow(/twice/);
});

it('reads durations with a unit', () => {
  expect(['90s', '10m', '2h'].map(duration)).toEqual([90_000, 600_000, 7_200_000]);
  for (const wrong of ['10', 's', '-1s', '1.5m', '1d', '']) expect(() => duration(wrong)).toThrow(/90s/);
  expect([inWords(1_499), inWords(119_000), inWords(600_000)]).toEqual(['1 s', '119 s', '10 min']);
});

it('reads leases, both versions of KV, and texts of other types', async () => {
  const server = new SimulatedVault();
  server.databaseRole('orders');
  server.kv().put('app', { key: 'two', port: 5432, nested: { key: 'x' } });
  server.kv('kv1', 1).put('app', { key: 'one' });
  const vault = await connectVault({ address: await server.listen(), auth: token('root'), logger: false });
  try {
    const read = async (...texts: string[]) =>
      (
        await readValues(
          vault,
          texts.map((text) => env(text)[0]!),
        )
      ).map(({ value }) => value);
    expect(await read('A=secret/data/app#key', 'B=kv1/app#key', 'C=secret/data/app#port')).toEqual([
      'two',
      'one',
      '5432',
    ]);
    const [user, password, again] = await read(
      'U=database/creds/orders#username',
      'P=database/creds/orders#password',
      'V=database/creds/orders#username',
    );
    expect(server.liveUsers).toEqual([user]);
    expect(again).toBe(user);
    expect(password).not.toBe('');
    await expect(read('A=secret/data/app#nothing')).rejects.toMatchObject({
      code: 'VAULT_SECRET_KEY_MISSING',
      hint: 'Existing keys: key, port, nested.',
    });
    await expect(read('A=secret/data/app#nested')).rejects.toMatchObject({
      code: 'VAULT_SECRET_KEY_MISSING',
    });
  } finally {
    await vault.close();
    await server.close();
  }
});
