import { firstValueFrom } from 'rxjs';
import { appRole, connectVault, Secret, type KvService, type Vault } from 'nestjs-vault/core';
import { SimulatedVault } from 'nestjs-vault/testing';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { failureOf } from '../../support/leaks.js';

let simulated: SimulatedVault;
let vault: Vault;
let kv: KvService;

beforeEach(async () => {
  simulated = new SimulatedVault();
  simulated.kv('team/kv');
  simulated.kv('old', 1);
  simulated.policy(
    'all',
    'path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }',
  );
  const { roleId, secretId } = simulated.appRole('app', { policies: ['all'] });
  const auth = appRole({ roleId, secretId: secretId() });
  vault = await connectVault({ address: await simulated.listen(), auth, logger: false, name: 'main' });
  kv = vault.kv;
});
afterEach(async () => {
  await vault.close();
  await simulated.close();
});

it('each method takes the mount and the version as its last argument', async () => {
  const there = { mount: 'team/kv/', kvVersion: 2, connection: 'main' } as const;
  expect(await kv.write('app', { n: new Secret(1) }, { ...there, cas: 0 })).toMatchObject({ version: 1 });
  expect(await kv.patch('app', { m: 2 }, there)).toMatchObject({ version: 2 });
  expect(await kv.update('app', (one) => ({ ...one?.data.reveal(), k: 3 }), there)).toMatchObject({
    version: 3,
  });
  expect((await kv.read('app', { ...there, version: 2 })).data.reveal()).toEqual({ n: 1, m: 2 });
  expect(await kv.list('/', there)).toEqual(['app']);
  expect((await kv.subkeys('app', there)).keys).toEqual({ k: null, m: null, n: null });
  await kv.writeMetadata('app', { customMetadata: { owner: 'team' } }, there);
  await kv.delete('app', there);
  await kv.delete('app', { ...there, versions: [1] });
  await kv.undelete('app', [3], there);
  await kv.destroy('app', [1], there);
  const { customMetadata, currentVersion, versions } = await kv.metadata('app', there);
  expect({ customMetadata, currentVersion }).toEqual({
    customMetadata: { owner: 'team' },
    currentVersion: 3,
  });
  expect(versions.map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
  expect((await firstValueFrom(kv.watch<{ k: number }>('app', there))).data.reveal().k).toBe(3);
  expect([...(await firstValueFrom(kv.watchFolder('/', there))).keys()]).toEqual(['app']);
  await kv.deleteMetadata('app', there);
  expect(await kv.list(undefined, there)).toEqual([]);
});

it('the options are those of the connection where there are none', async () => {
  await kv.write('app', { n: 1 });
  expect(await kv.list()).toEqual(['app']);
  expect((await kv.read('app')).version).toBe(1);
  expect(await kv.write('app', { n: 1 }, { mount: 'old', kvVersion: 1 })).toEqual({});
});

it('each method names an unknown connection', async () => {
  const other = { connection: 'other' };
  const calls = [
    kv.read('a', other),
    kv.list('a', other),
    kv.write('a', {}, other),
    kv.patch('a', {}, other),
    kv.update('a', () => ({}), other),
    kv.delete('a', other),
    kv.undelete('a', [1], other),
    kv.destroy('a', [1], other),
    kv.metadata('a', other),
    kv.writeMetadata('a', {}, other),
    kv.deleteMetadata('a', other),
    kv.subkeys('a', other),
    firstValueFrom(kv.watch('a', other)),
    firstValueFrom(kv.watchFolder('a', other)),
  ];
  for (const call of calls) expect((await failureOf(call)).code).toBe('VAULT_CONNECTION_UNKNOWN');
});
