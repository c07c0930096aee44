import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { appRole } from '../../lib/auth/app-role.js';
import { Secret } from '../../lib/secret/secret.js';
import type { KvReadOptions } from '../../lib/engines/kv/kv-options.js';
import { closeConnections, connect } from '../support/connect.js';
import { answer, HttpProxy } from '../support/http-proxy.js';
import { expectNoLeak, failureOf } from '../support/leaks.js';
import { describeReal } from '../support/real-servers.js';
import { provision, startOpenBao, type OpenBaoServer, type Provisioned } from '../support/servers.mjs';

const CANARY = 'canary-value-of-kv-9f8e';

describeReal('key-value secrets', () => {
  let bao: OpenBaoServer;
  let proxy: HttpProxy;
  let role: Provisioned;

  beforeAll(async () => {
    bao = await startOpenBao();
    role = await provision(bao, undefined, {
      policy: `
        path "secret/data/*" { capabilities = ["read"] }
        path "kv1/*" { capabilities = ["read"] }`,
    });
    proxy = await HttpProxy.start(bao.address);
    for (const value of ['one', 'two', 'three', CANARY]) {
      await bao.api('POST', 'secret/data/app', { data: { value } });
    }
    await bao.api('POST', 'secret/metadata/app', { custom_metadata: { owner: 'team' } });
    await bao.api('POST', 'secret/delete/app', { versions: [1] });
    await bao.api('PUT', 'secret/destroy/app', { versions: [2] });
    await bao.api('POST', 'secret/data/gone', { data: { value: 'x' } });
    await bao.api('DELETE', 'secret/data/gone');
    await bao.api('POST', 'kv1/app', { value: CANARY });
  });
  afterEach(async () => {
    proxy.fault = undefined;
    await closeConnections();
    proxy.clear();
  });
  afterAll(async () => {
    await proxy?.stop();
    await bao?.stop();
  });

  const kv = (timeout?: number) =>
    connect({ address: proxy.address, auth: appRole(role), ...(timeout !== undefined && { timeout }) })
      .connection;
  const read = (path: string, options: KvReadOptions = {}) =>
    kv().secrets.read<{ value: string }>(path, options);

  it('version 2: the latest one, with its metadata', async () => {
    const secret = await read('app');
    expect(secret.data).toBeInstanceOf(Secret);
    expect(secret.data.reveal()).toEqual({ value: CANARY });
    expect(secret).toMatchObject({ version: 4, metadata: { owner: 'team' } });
    expect(Math.abs(Date.now() - (secret.createdAt?.getTime() ?? 0))).toBeLessThan(60_000);
    expectNoLeak(secret, [CANARY]);
    expect(proxy.requests).toEqual(['POST /v1/auth/approle/login', 'GET /v1/secret/data/app']);
  });

  it('version 2: a pinned one', async () => {
    expect(await read('app', { version: 3 })).toMatchObject({ version: 3 });
    expect((await read('app', { version: 3, mount: '/secret/' })).data.reveal()).toEqual({
      value: 'three',
    });
    expect(proxy.requests.at(-1)).toBe('GET /v1/secret/data/app?version=3');
  });

  it('version 1', async () => {
    const secret = await read('app', { mount: 'kv1', kvVersion: 1 });
    expect(Object.keys(secret)).toEqual(['data']);
    expect(secret.data.reveal()).toEqual({ value: CANARY });
    expectNoLeak(secret, [CANARY]);
    const { connection } = connect({ address: proxy.address, auth: appRole(role), kvVersion: 1 });
    expect((await connection.secrets.read('app', { mount: 'kv1' })).data.reveal()).toEqual({ value: CANARY });
  });

  it.each<[string, string, KvReadOptions, string, RegExp, RegExp]>([
    [
      'a deleted version',
      'app',
      { version: 1 },
      'VAULT_SECRET_DELETED',
      /Version 1 at secret\/data\/app/,
      /kv undelete/,
    ],
    [
      'a destroyed version',
      'app',
      { version: 2 },
      'VAULT_SECRET_DESTROYED',
      /Version 2/,
      /cannot be restored/,
    ],
    [
      'a version that never existed',
      'app',
      { version: 99 },
      'VAULT_SECRET_NOT_FOUND',
      /no version 99 of secret\/app/,
      /metadata get/,
    ],
    [
      'a secret whose latest version is deleted',
      'gone',
      {},
      'VAULT_SECRET_DELETED',
      /Version 1 at/,
      /undelete/,
    ],
    [
      'a secret that never existed',
      'nothing',
      {},
      'VAULT_SECRET_NOT_FOUND',
      /nothing at secret\/data\/nothing/,
      /`kvVersion`/,
    ],
    [
      'a secret that never existed, in version 1',
      'nothing',
      { mount: 'kv1', kvVersion: 1 },
      'VAULT_SECRET_NOT_FOUND',
      /nothing at kv1\/nothing/,
      /name/,
    ],
    [
      'version 1 read as version 2',
      'app',
      { mount: 'kv1' },
      'VAULT_SECRET_NOT_FOUND',
      /kv1\/data\/app/,
      /`kvVersion`/,
    ],
    [
      'a mount that the policy does not allow',
      'app',
      { mount: 'other' },
      'VAULT_PERMISSION_DENIED',
      /read at other\/data\/app/,
      /same answer for a missing mount/,
    ],
  ])('%s', async (_what, path, options, code, message, hint) => {
    const error = await failureOf(read(path, options));
    expect(error.code, error.message).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
    expectNoLeak(error, [CANARY, role.secretId]);
  });

  it('version 2 read as version 1: the server reports it', async () => {
    const root = await provision(bao, undefined, {
      approleName: 'all',
      policy: 'path "*" { capabilities = ["read"] }',
    });
    const { connection } = connect({ address: proxy.address, auth: appRole(root) });
    const error = await failureOf(connection.secrets.read('app', { kvVersion: 1 }));
    expect(error).toMatchObject({ code: 'VAULT_CONFIG_INVALID', status: 404 });
    expect(error.message).toMatch(/KV version 2, but was used as version 1/);
    expect(error.hint).toMatch(/`kvVersion: 2`/);
    const missing = await failureOf(connection.secrets.read('app', { mount: 'nomount' }));
    expect(missing).toMatchObject({ code: 'VAULT_MOUNT_NOT_FOUND', status: 404 });
    expect(missing.hint).toMatch(/Correct `mount`/);
  });

  it.each([
    ['secret/data/app', {}, '"app" with mount "secret"'],
    ['/secret/data/app', {}, '"app" with mount "secret"'],
    ['team/kv/data/a/b', { mount: 'team/kv' }, '"a/b" with mount "team/kv"'],
    ['team/kv/data/a/b', { mount: '/team/kv/' }, '"a/b" with mount "team/kv"'],
  ])('the API path %s is refused, and the error names the right path', async (path, options, hint) => {
    const error = await failureOf(read(path, options));
    expect(error.code).toBe('VAULT_PATH_INVALID');
    expect(error.hint).toContain(hint);
    expect(proxy.requests).toEqual([]);
  });

  it.each([
    '',
    '/',
    '/app',
    'app/',
    `users/${''}`,
    `${''}/app`,
    `a${'/'.repeat(100_000)}b`,
    'a'.repeat(5_000),
  ])('the path %j is refused, and not taken for another', async (path) => {
    expect((await failureOf(read(path))).code).toBe('VAULT_PATH_INVALID');
    expect(proxy.requests).toEqual([]);
  });

  it.each([0, -1, 1.5, NaN, '1' as never])('version %s cannot be pinned', async (version) => {
    expect((await failureOf(read('app', { version }))).code).toBe('VAULT_PATH_INVALID');
    expect(proxy.requests).toEqual([]);
  });

  it('version 1 has no versions', async () => {
    const error = await failureOf(read('app', { mount: 'kv1', kvVersion: 1, version: 1 }));
    expect(error).toMatchObject({ code: 'VAULT_PATH_INVALID' });
    expect(error.message).toContain('no versions to pin');
  });

  it('a temporary failure is retried within the timeout', async () => {
    let sealed = 2;
    proxy.fault = (request, response) =>
      Boolean(request.url?.includes('/data/')) &&
      sealed-- > 0 &&
      answer(response, 503, { errors: ['Vault is sealed'] });
    const { connection } = connect({ address: proxy.address, auth: appRole(role) });
    expect((await connection.secrets.read('app', {})).version).toBe(4);
    expect(proxy.count(/secret\/data\/app/)).toBe(3);
    sealed = Infinity;
    expect((await failureOf(kv(200).secrets.read('app', {}))).code).toBe('VAULT_SEALED');
  });

  it('a token that was revoked unnoticed is replaced, and the read repeated', async () => {
    const connection = kv();
    await connection.secrets.read('app', {});
    const token = String(proxy.seen.at(-1)?.headers['x-vault-token']);
    await bao.api('POST', 'auth/token/revoke', { token });
    proxy.clear();
    const secrets = await Promise.all(Array.from({ length: 20 }, () => connection.secrets.read('app', {})));
    expect(secrets.every(({ version }) => version === 4)).toBe(true);
    expect(proxy.count(/approle\/login/)).toBe(1);
    // Two look-ups, as the token is so new that a node might not know it yet.
    expect(proxy.count(/lookup-self/)).toBe(2);
    expectNoLeak(connection.status, [token, CANARY]);
  });
});
