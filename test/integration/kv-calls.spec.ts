import { firstValueFrom } from 'rxjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appRole } from '../../lib/auth/app-role.js';
import type { VaultOptions } from '../../lib/config/options.js';
import type { StaticSecrets } from '../../lib/engines/static-secrets.js';
import { Secret } from '../../lib/secret/secret.js';
import { SimulatedVault } from '../../lib/testing/index.js';
import { closeConnections, connect } from '../support/connect.js';
import { expectNoLeak, failureOf } from '../support/leaks.js';
import { describeReal, realServer } from '../support/real-servers.js';
import { provision, startOpenBao, type OpenBaoServer } from '../support/servers.mjs';

const CANARY = 'canary-value-of-kv-77ab';
const POLICY = `
  path "secret/*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }
  path "secret/data/hidden/*" { capabilities = ["create", "update"] }
  path "secret/metadata/locked/*" { capabilities = ["deny"] }
  path "secret/data/partly/denied" { capabilities = ["create", "update"] }
  path "kv1/*" { capabilities = ["create", "read", "update", "delete", "list"] }`;

/** A server with `secret/` (version 2) and `kv1/` (version 1). */
interface Server {
  secrets(options?: Partial<VaultOptions>): StaticSecrets;
  stop(): Promise<void>;
}

async function simulated(dialect: 'openbao' | 'vault'): Promise<Server> {
  const vault = new SimulatedVault({ dialect });
  vault.kv('kv1', 1);
  vault.policy('app', POLICY);
  const { roleId, secretId } = vault.appRole('app', { policies: ['app'] });
  const auth = appRole({ roleId, secretId: secretId() });
  const secrets = (options = {}) =>
    connect({ address: 'http://vault.test', auth, ...options }, undefined, vault.transport()).connection
      .secrets;
  return { secrets, stop: async () => undefined };
}

async function real(): Promise<Server> {
  const bao: OpenBaoServer = await startOpenBao();
  const role = await provision(bao, undefined, { policy: POLICY });
  const secrets = (options = {}) =>
    connect({ address: bao.address, auth: appRole(role), ...options }).connection.secrets;
  return { secrets, stop: () => bao.stop() };
}

const SERVERS = [
  ['the simulated OpenBao', describe, () => simulated('openbao')],
  ['the simulated Vault', describe, () => simulated('vault')],
  [realServer.name, describeReal, real],
] as const;

for (const [name, describeServer, start] of SERVERS) {
  describeServer(`KV on ${name}`, () => {
    let server: Server;
    let kv: StaticSecrets;

    beforeAll(async () => {
      server = await start();
    });
    beforeAll(() => {
      kv = server.secrets();
    });
    afterAll(async () => {
      await closeConnections();
      await server.stop();
    });

    const valueOf = async (path: string, options = {}) =>
      (await kv.read<Record<string, unknown>>(path, options)).data.reveal();

    it('write makes versions; read returns the latest or the pinned one', async () => {
      const first = await kv.write('versions', { key: 'one' });
      expect(first).toEqual({ version: 1, createdAt: expect.any(Date) as Date });
      expect(await kv.write('versions', { key: 'two' })).toMatchObject({ version: 2 });
      expect(await valueOf('versions')).toEqual({ key: 'two' });
      expect(await valueOf('versions', { version: 1 })).toEqual({ key: 'one' });
      expect(await kv.read('versions', { version: 1 })).toMatchObject({ createdAt: first.createdAt });
    });

    it('a Secret is written with its value, at any level, and printed by nothing', async () => {
      const data = { a: new Secret(CANARY), list: [{ b: new Secret({ c: new Secret(CANARY) }) }], n: null };
      const plain = { a: CANARY, list: [{ b: { c: CANARY } }], n: null };
      await kv.write('nested', data);
      expect(await valueOf('nested')).toEqual(plain);
      await kv.write('nested', new Secret(data), { cas: 1 });
      expect(await valueOf('nested')).toEqual(plain);
      await kv.patch('nested', { d: new Secret(CANARY) });
      expect(await valueOf('nested')).toEqual({ ...plain, d: CANARY });
      await kv.write('nested', data, { mount: 'kv1', kvVersion: 1 });
      expect(await valueOf('nested', { mount: 'kv1', kvVersion: 1 })).toEqual(plain);
      const error = await failureOf(kv.write('nested', data, { cas: 1 }));
      expect(error.code).toBe('VAULT_CAS_CONFLICT');
      expectNoLeak(error, [CANARY]);
    });

    it('cas: a conflict has its code and the current version, and writes nothing', async () => {
      expect(await kv.write('cas', { n: 1 }, { cas: 0 })).toMatchObject({ version: 1 });
      const exists = await failureOf(kv.write('cas', { n: 2 }, { cas: 0 }));
      expect(exists).toMatchObject({ code: 'VAULT_CAS_CONFLICT', status: 400, version: 1 });
      expect(exists.message).toContain('The current version is 1.');
      expect(await kv.write('cas', { n: 2 }, { cas: 1 })).toMatchObject({ version: 2 });
      expect(await kv.patch('cas', { m: 3 }, { cas: 2 })).toMatchObject({ version: 3 });
      const stale = await failureOf(kv.patch('cas', { n: 4 }, { cas: 2 }));
      expect(stale).toMatchObject({ code: 'VAULT_CAS_CONFLICT', version: 3 });
      expect(await valueOf('cas')).toEqual({ n: 2, m: 3 });
      const missing = await failureOf(kv.write('cas-missing', { n: 1 }, { cas: 5 }));
      expect(missing).toMatchObject({ code: 'VAULT_CAS_CONFLICT', version: 0 });
      // The number of a deleted version counts.
      await kv.delete('cas');
      expect(await failureOf(kv.write('cas', {}, { cas: 0 }))).toMatchObject({ version: 3 });
      expect(await kv.write('cas', {}, { cas: 3 })).toMatchObject({ version: 4 });
    });

    it('cas: without the right to read, the conflict has no version', async () => {
      await kv.write('hidden/cas', { n: 1 });
      const error = await failureOf(kv.write('hidden/cas', { n: 2 }, { cas: 0 }));
      expect(error.code).toBe('VAULT_CAS_CONFLICT');
      expect(error).not.toHaveProperty('version');
    });

    it('patch: null removes a member; a secret without data cannot be patched', async () => {
      await kv.write('patch', { a: 1, b: { c: 2, d: 3 } });
      expect(await kv.patch('patch', { a: null, b: { c: null, e: 4 } })).toMatchObject({ version: 2 });
      expect(await valueOf('patch')).toEqual({ b: { d: 3, e: 4 } });
      expect((await failureOf(kv.patch('patch-missing', { a: 1 }))).code).toBe('VAULT_SECRET_NOT_FOUND');
      await kv.delete('patch');
      expect(await failureOf(kv.patch('patch', { a: 1 }))).toMatchObject({
        code: 'VAULT_SECRET_DELETED',
        version: 2,
      });
      await kv.destroy('patch', [2]);
      expect(await failureOf(kv.patch('patch', { a: 1 }))).toMatchObject({
        code: 'VAULT_SECRET_DESTROYED',
        version: 2,
      });
    });

    it('delete, undelete and destroy: the latest or the named versions', async () => {
      for (const n of [1, 2, 3, 4]) await kv.write('gone', { n });
      await kv.delete('gone');
      expect(await failureOf(kv.read('gone'))).toMatchObject({ code: 'VAULT_SECRET_DELETED', version: 4 });
      await kv.undelete('gone', [4]);
      expect(await valueOf('gone')).toEqual({ n: 4 });
      await kv.delete('gone', { versions: [1, 2] });
      for (const version of [1, 2])
        expect((await failureOf(kv.read('gone', { version }))).code).toBe('VAULT_SECRET_DELETED');
      await kv.destroy('gone', [2, 3]);
      expect(await failureOf(kv.read('gone', { version: 3 }))).toMatchObject({
        code: 'VAULT_SECRET_DESTROYED',
        version: 3,
      });
      // Servers report no error for what there is not.
      await kv.undelete('gone', [3, 99]);
      await kv.undelete('nothing', [1]);
      await kv.destroy('nothing', [1]);
      await kv.delete('nothing', { versions: [1] });
      await kv.delete('nothing');
      const { versions } = await kv.metadata('gone');
      expect(versions.map(({ version, deletedAt, destroyed }) => [version, !!deletedAt, destroyed])).toEqual([
        [1, true, false],
        [2, true, true],
        [3, false, true],
        [4, false, false],
      ]);
    });

    it('metadata: read, written, deleted with all versions', async () => {
      expect((await failureOf(kv.metadata('meta'))).code).toBe('VAULT_SECRET_NOT_FOUND');
      await kv.writeMetadata('meta', { customMetadata: { owner: 'team' }, maxVersions: 2 });
      expect(await kv.metadata('meta')).toEqual({
        createdAt: expect.any(Date) as Date,
        updatedAt: expect.any(Date) as Date,
        currentVersion: 0,
        maxVersions: 2,
        casRequired: false,
        deleteVersionAfter: '0s',
        customMetadata: { owner: 'team' },
        versions: [],
      });
      expect((await failureOf(kv.read('meta'))).code).toBe('VAULT_SECRET_NOT_FOUND');
      for (const n of [1, 2, 3]) await kv.write('meta', { n });
      expect((await kv.read('meta')).metadata).toEqual({ owner: 'team' });
      await kv.writeMetadata('meta', { casRequired: true, deleteVersionAfter: '90m', customMetadata: {} });
      const metadata = await kv.metadata('meta');
      expect(metadata).toMatchObject({ casRequired: true, currentVersion: 3, customMetadata: {} });
      expect(metadata).toMatchObject({ maxVersions: 2, deleteVersionAfter: '1h30m0s' });
      expect(metadata.versions.map(({ version }) => version)).toEqual([2, 3]);
      const required = await failureOf(kv.write('meta', { n: 4 }));
      expect(required).toMatchObject({ code: 'VAULT_REQUEST_INVALID', status: 400 });
      expect(required.hint).toMatch(/give `cas`/);
      await kv.write('meta', { n: 4 }, { cas: 3 });
      const { versions } = await kv.metadata('meta');
      expect(versions.at(-1)?.deletedAt?.getTime()).toBeGreaterThan(Date.now());
      await kv.deleteMetadata('meta');
      expect((await failureOf(kv.read('meta'))).code).toBe('VAULT_SECRET_NOT_FOUND');
    });

    it('subkeys: the keys without the values', async () => {
      await kv.write('keys', { a: CANARY, b: { c: CANARY, d: [1] } });
      const { keys, version } = await kv.subkeys('keys');
      expect({ keys, version }).toEqual({ keys: { a: null, b: { c: null, d: null } }, version: 1 });
      expect((await kv.subkeys('keys', { depth: 1 })).keys).toEqual({ a: null, b: null });
      await kv.write('keys', { e: 1 });
      expect((await kv.subkeys('keys', { version: 1, depth: 1 })).keys).toEqual({ a: null, b: null });
      expect((await failureOf(kv.subkeys('keys', { version: 9 }))).message).toContain('no version 9');
      expect((await failureOf(kv.subkeys('keys-missing'))).code).toBe('VAULT_SECRET_NOT_FOUND');
    });

    it('list: the names of a folder; none if there is no such folder', async () => {
      for (const path of ['tree/a', 'tree/b/c', 'tree/b']) await kv.write(path, { n: 1 });
      expect(await kv.list('tree')).toEqual(['a', 'b', 'b/']);
      expect(await kv.list('tree/')).toEqual(['a', 'b', 'b/']);
      expect(await kv.list('tree/b/')).toEqual(['c']);
      expect(await kv.list('/')).toContain('tree/');
      expect(await kv.list('no-tree')).toEqual([]);
      expect(await kv.list('tree/a')).toEqual([]);
      const denied = await failureOf(kv.list('locked/x'));
      expect(denied.code).toBe('VAULT_PERMISSION_DENIED');
      expect(denied.hint).toContain('capabilities = ["list"]');
    });

    it('watchFolder: the secrets of a folder; a denied list ends it', async () => {
      for (const [path, n] of Object.entries({ a: 1, b: 2, 'c/d': 3 }))
        await kv.write(`folder/${path}`, { n });
      await kv.delete('folder/b');
      const folder = await firstValueFrom(kv.watchFolder<{ n: number }>('folder/'));
      expect([...folder].map(([entry, { data, version }]) => [entry, data.reveal(), version])).toEqual([
        ['a', { n: 1 }, 1],
      ]);
      expect((await firstValueFrom(kv.watchFolder('no-folder'))).size).toBe(0);
      for (const denied of ['locked/x', 'partly']) {
        await kv.write('partly/denied', { n: 1 });
        const error = await failureOf(firstValueFrom(kv.watchFolder(denied)));
        expect(error.code).toBe('VAULT_PERMISSION_DENIED');
      }
    });

    it.each(['', '/tree', 'tree//b', 'tree//', '//'])('list: the folder %j is refused', async (folder) => {
      expect((await failureOf(kv.list(folder))).code).toBe('VAULT_PATH_INVALID');
    });

    it('version 1: read, list, write, delete; the rest is refused with its remedy', async () => {
      const v1 = { mount: 'kv1', kvVersion: 1 } as const;
      expect(await kv.write('a/b', { n: 1 }, v1)).toEqual({});
      expect(await valueOf('a/b', v1)).toEqual({ n: 1 });
      expect(await kv.list('a', v1)).toEqual(['b']);
      expect(await kv.list('/', v1)).toContain('a/');
      await kv.delete('a/b', v1);
      expect((await failureOf(kv.read('a/b', v1))).code).toBe('VAULT_SECRET_NOT_FOUND');
      const refused: Record<string, Promise<unknown>> = {
        cas: kv.write('a', { n: 1 }, { ...v1, cas: 0 }),
        patch: kv.patch('a', { n: 1 }, v1),
        update: kv.update('a', () => ({}), v1),
        versions: kv.delete('a', { ...v1, versions: [1] }),
        undelete: kv.undelete('a', [1], v1),
        destroy: kv.destroy('a', [1], v1),
        metadata: kv.metadata('a', v1),
        writeMetadata: kv.writeMetadata('a', { maxVersions: 1 }, v1),
        deleteMetadata: kv.deleteMetadata('a', v1),
        subkeys: kv.subkeys('a', v1),
      };
      for (const [what, call] of Object.entries(refused)) {
        const error = await failureOf(call);
        expect(error.code).toBe('VAULT_REQUEST_INVALID');
        expect(error.message).toContain(`KV version 1 has no \`${what}\``);
        expect(error.hint).toContain('enable-versioning kv1');
      }
    });

    it('a mount of the other version is reported, not taken for an empty one', async () => {
      expect((await failureOf(kv.list('tree', { kvVersion: 1 }))).message).toMatch(/is KV version 2/);
      expect((await failureOf(kv.write('x', { n: 1 }, { kvVersion: 1 }))).message).toMatch(/KV version 2/);
      const error = await failureOf(kv.write('x', { n: CANARY }, { mount: 'kv1' }));
      expect(error.message).toMatch(/"kv1" is not KV version 2: .* stored .* at kv1\/data\/x/);
      expectNoLeak(error, [CANARY]);
    });

    it('calls of version 2 to a mount of version 1 are as docs/kv.md says', async () => {
      const [v1, v2] = [1, 2].map((kvVersion) => ({ mount: 'kv1', kvVersion }) as { kvVersion: 1 | 2 });
      await kv.write('mixed', { n: 1 }, v1);
      for (const call of [
        () => kv.write('mixed', { n: 2 }, v2),
        () => kv.update('mixed', () => ({ n: 2 }), v2),
        () => kv.patch('mixed', { n: 2 }, v2),
        () => kv.metadata('mixed/none', v2),
        () => kv.subkeys('mixed', v2),
        () => kv.read('mixed/none', v2),
      ])
        expect((await failureOf(call())).code).toMatch(/REQUEST_INVALID|NOT_FOUND|PERMISSION_DENIED/);
      await kv.delete('mixed', v2);
      await kv.delete('mixed', { ...v2, versions: [1] });
      await kv.undelete('mixed', [1], v2);
      await kv.destroy('mixed', [1], v2);
      await kv.writeMetadata('mixed', { maxVersions: 1 }, v2);
      await kv.deleteMetadata('mixed', v2);
      expect(await kv.list('mixed', v2)).toEqual([]);
      expect(await valueOf('mixed', v1)).toEqual({ n: 1 });
      for (const part of ['delete', 'undelete', 'destroy'])
        expect(await kv.list(part, v1)).toEqual(['mixed']);
    });

    it.each<[string, (secrets: StaticSecrets) => Promise<unknown>]>([
      ['an empty path', (s) => s.write('', { n: 1 })],
      ['a slash at the end', (s) => s.write('app/', { n: 1 })],
      ['a slash at the start', (s) => s.patch('/app', { n: 1 })],
      ['the API path', (s) => s.delete('secret/data/app')],
      ['the API path of the metadata', (s) => s.metadata('secret/metadata/app')],
      ['the API path of a folder', (s) => s.list('secret/metadata/app/')],
    ])('%s is refused, and nothing is sent', async (_what, call) => {
      const secrets = connect({ address: 'http://127.0.0.1:9', auth: appRole({ roleId: 'r' }) });
      expect((await failureOf(call(secrets.connection.secrets))).code).toBe('VAULT_PATH_INVALID');
    });

    it.each<[string, (secrets: StaticSecrets) => Promise<unknown>, RegExp]>([
      ['data that is no object', (s) => s.write('a', [CANARY]), /no object/],
      ['a text', (s) => s.write('a', CANARY as never), /no object/],
      ['a Secret of a text', (s) => s.write('a', new Secret(CANARY) as never), /no object/],
      ['undefined', (s) => s.patch('a', undefined as never), /cannot be written as JSON/],
      ['bytes', (s) => s.write('a', { key: Buffer.from(CANARY) }), /cannot be written as JSON/],
      ['a Secret of bytes', (s) => s.write('a', { k: new Secret(Buffer.from(CANARY)) }), /as JSON/],
      ['`cas` without a value', (s) => s.write('a', {}, { cas: undefined }), /`cas` is no version/],
      ['a text as `cas`', (s) => s.patch('a', {}, { cas: '1' as never }), /`cas` is no version/],
      ['a negative `cas`', (s) => s.write('a', {}, { cas: -1 }), /`cas` is no version/],
      ['no versions', (s) => s.undelete('a', []), /names no versions/],
      ['version 0', (s) => s.destroy('a', [0]), /names no versions/],
      ['`versions` without a value', (s) => s.delete('a', { versions: undefined as never }), /no versions/],
      ['a number as versions', (s) => s.delete('a', { versions: 1 as never }), /names no versions/],
      ['a third version', (s) => s.list('a', { kvVersion: 3 as never }), /version 1 or 2/],
      ['no settings', (s) => s.writeMetadata('a', {}), /there is no setting/],
      ['an unknown setting', (s) => s.writeMetadata('a', { cas: true } as never), /no option `cas`/],
      [
        'custom metadata that is no text',
        (s) => s.writeMetadata('a', { customMetadata: { o: 5 as never } }),
        /`customMetadata` is invalid/,
      ],
    ])('%s is refused, and nothing is sent', async (_what, call, message) => {
      const secrets = connect({ address: 'http://127.0.0.1:9', auth: appRole({ roleId: 'r' }) });
      const error = await failureOf(call(secrets.connection.secrets));
      expect(error.code).toBe('VAULT_REQUEST_INVALID');
      expect(error.message).toMatch(message);
      expectNoLeak(error, [CANARY]);
    });

    describe('update', () => {
      const add = (key: string) => (current: { data: Secret<Record<string, number>> } | undefined) => ({
        ...current?.data.reveal(),
        [key]: 1,
      });

      it('creates a missing secret, changes an existing one, and leaves an unchanged one', async () => {
        expect(await kv.update('update', add('a'))).toMatchObject({ version: 1 });
        expect(await kv.update('update', add('b'))).toMatchObject({ version: 2 });
        expect(await kv.update('update', add('b'))).toMatchObject({ version: 2 });
        expect(await valueOf('update')).toEqual({ a: 1, b: 1 });
        // The data may be changed in place.
        await kv.update<Record<string, number>>('update', (current) => {
          const data = current?.data.reveal() ?? {};
          data['c'] = 1;
          return data;
        });
        expect(await valueOf('update')).toEqual({ a: 1, b: 1, c: 1 });
      });

      it('takes a deleted or destroyed latest version for a missing secret, and writes the next one', async () => {
        await kv.write('update-gone', { a: 1 });
        await kv.delete('update-gone');
        expect(await kv.update('update-gone', add('b'))).toMatchObject({ version: 2 });
        expect(await valueOf('update-gone')).toEqual({ b: 1 });
        await kv.destroy('update-gone', [2]);
        expect(await kv.update('update-gone', add('c'))).toMatchObject({ version: 3 });
        expect(await valueOf('update-gone')).toEqual({ c: 1 });
        await kv.writeMetadata('update-meta', { casRequired: true });
        expect(await kv.update('update-meta', add('a'))).toMatchObject({ version: 1 });
      });

      it('keeps an integer above 2^53 as the server has it', async () => {
        // The server rounds it when it is written.
        await kv.write('update-large', { large: 12345678901234567000n, safe: 5n });
        expect(await valueOf('update-large')).toEqual({ large: 12345678901234567000n, safe: 5 });
        await kv.update('update-large', add('b'));
        expect(await valueOf('update-large')).toEqual({ large: 12345678901234567000n, safe: 5, b: 1 });
        const rounded = await failureOf(kv.write('update-large', { large: 2n ** 53n + 1n }));
        expect(rounded).toMatchObject({ code: 'VAULT_REQUEST_INVALID' });
        expect(rounded.hint).toMatch(/above 2\^53/);
      });

      it('passes on the error of the change, and writes nothing', async () => {
        const mine = new Error('mine');
        const failed = kv.update('update-error', () => Promise.reject(mine));
        await expect(failed).rejects.toBe(mine);
        const none = await failureOf(kv.update('update-error', () => undefined as never));
        expect(none.code).toBe('VAULT_REQUEST_INVALID');
        expect((await failureOf(kv.read('update-error'))).code).toBe('VAULT_SECRET_NOT_FOUND');
      });

      it('50 writers at once: every change is in', async () => {
        const writers = Array.from({ length: 10 }, () => server.secrets());
        const jobs = Array.from({ length: 50 }, (_, index) => {
          const own = writers[index % writers.length] as StaticSecrets;
          return own.update<Record<string, number>>('contended', (current) => {
            const data = current?.data.reveal() ?? {};
            return { ...data, [`writer-${index}`]: index, count: (data['count'] ?? 0) + 1 };
          });
        });
        const versions = (await Promise.all(jobs)).map(({ version }) => version);
        const data = await valueOf('contended');
        expect(Object.keys(data)).toHaveLength(51);
        expect(data['count']).toBe(50);
        expect(new Set(versions).size).toBe(50);
      });
    });
  });
}
