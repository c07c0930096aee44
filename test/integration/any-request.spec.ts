import { X509Certificate } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { appRole } from '../../lib/auth/app-role.js';
import { token } from '../../lib/auth/token.js';
import { closeConnections, connect } from '../support/connect.js';
import { expectNoLeak, failureOf } from '../support/leaks.js';
import { describeReal } from '../support/real-servers.js';
import { startOpenBao, type OpenBaoServer } from '../support/servers.mjs';

const WRAP = { headers: { 'X-Vault-Wrap-TTL': '60s' } };

describeReal('any request: returns the whole answer', () => {
  let bao: OpenBaoServer;
  const client = () => connect({ address: bao.address, auth: token(bao.rootToken) }).connection.client;

  beforeAll(async () => {
    bao = await startOpenBao();
    await bao.api('POST', 'sys/mounts/pki', { type: 'pki' });
    await bao.api('POST', 'pki/root/generate/internal', { common_name: 'internal', ttl: '1h' });
    await bao.api('POST', 'pki/roles/shop', { allowed_domains: 'internal', allow_subdomains: true });
    await bao.api('POST', 'sys/mounts/ssh', { type: 'ssh' });
    await bao.api('POST', 'ssh/config/ca', { generate_signing_key: true, key_type: 'ed25519' });
    await bao.api('POST', 'sys/mounts/kv1', { type: 'kv' });
  });
  afterEach(closeConnections);
  afterAll(() => bao?.stop());

  it('a wrapped secret_id', async () => {
    const using = client();
    await bao.api('POST', 'sys/auth/approle', { type: 'approle' });
    await using.write('auth/approle/role/app', { token_policies: 'default' });
    const { wrapInfo } = await using.write('auth/approle/role/app/secret-id', undefined, WRAP);
    expect(wrapInfo).toMatchObject({ ttl: 60, creationPath: 'auth/approle/role/app/secret-id' });
    expect(Math.abs(Date.now() - Number(wrapInfo?.creationTime))).toBeLessThan(60_000);
    const wrapping = wrapInfo?.token.reveal() as string;
    expectNoLeak(wrapInfo, [wrapping]);
    const { data } = await using.write<{ secret_id: string }>('sys/wrapping/unwrap', { token: wrapping });
    const roleId = (await using.read<{ role_id: string }>('auth/approle/role/app/role-id')).data.reveal()
      .role_id;
    const auth = appRole({ roleId, secretId: data.reveal().secret_id });
    await connect({ address: bao.address, auth }).connection.login();
  });

  it('certificates, CRLs, keys and metrics, as text and as bytes', async () => {
    const using = client();
    const pem = await using.read<string>('pki/ca/pem', { responseType: 'text' });
    const der = await using.read<Buffer>('pki/ca', { responseType: 'bytes' });
    expect(new X509Certificate(pem.data.reveal()).fingerprint256).toBe(
      new X509Certificate(der.data.reveal()).fingerprint256,
    );
    const crl = await using.read<string>('pki/crl/pem', { responseType: 'text' });
    expect(crl.data.reveal()).toMatch(/^-----BEGIN X509 CRL/);
    const key = await using.read<string>('ssh/public_key', { responseType: 'text' });
    expect(key.data.reveal()).toMatch(/^ssh-ed25519 /);
    const { wrapInfo } = await using.read('pki/ca', { responseType: 'bytes', ...WRAP });
    const unwrapped = await using.write<Buffer>(
      'sys/wrapping/unwrap',
      { token: wrapInfo?.token.reveal() },
      { responseType: 'bytes' },
    );
    expect(unwrapped.data.reveal().equals(der.data.reveal())).toBe(true);
    expect((await failureOf(using.read('pki/ca/pem'))).hint).toContain('`responseType`');
  });

  it('the state of the node, also from a namespace, and the keys of an issuer', async () => {
    const using = client();
    const clients = [using];
    // Without Enterprise, HashiCorp Vault has no namespaces.
    if (bao.kind === 'openbao') {
      await using.write('sys/namespaces/team', {});
      const team = { address: bao.address, auth: token(bao.rootToken), namespace: 'team' };
      clients.push(connect(team).connection.client);
    }
    for (const one of clients) {
      expect((await one.read<object>('sys/health')).data.reveal()).toMatchObject({
        sealed: false,
        standby: false,
      });
      expect((await one.read<object>('sys/seal-status')).data.reveal()).toMatchObject({ type: 'shamir' });
      expect((await one.read<object>('sys/leader')).data.reveal()).toHaveProperty('ha_enabled');
    }
    const jwks = await using.read<{ keys: unknown[] }>('identity/oidc/.well-known/keys');
    expect(jwks.data.reveal().keys).toEqual(expect.any(Array));
  });

  it.each<[string, string, object, string, RegExp]>([
    [
      'a CAS conflict',
      'secret/data/cas',
      { options: { cas: 7 }, data: {} },
      'VAULT_CAS_CONFLICT',
      /Read it again/,
    ],
    ['no CAS', 'secret/data/cas', { data: {} }, 'VAULT_REQUEST_INVALID', /`options: \{ cas \}`/],
    ['a name', 'pki/issue/shop', { common_name: 'evil.org' }, 'VAULT_REQUEST_INVALID', /allowed_domains/],
    ['a TTL', 'pki/issue/shop', { common_name: 'a.internal', ttl: 'soon' }, 'VAULT_REQUEST_INVALID', /"15m"/],
    [
      'a long TTL',
      'pki/issue/shop',
      { common_name: 'a.internal', ttl: '9000h' },
      'VAULT_REQUEST_INVALID',
      /authority/,
    ],
  ])('refused: %s', async (_what, path, body, code, hint) => {
    const using = client();
    await using.write('secret/metadata/cas', { cas_required: true });
    const error = await failureOf(using.write(path, body));
    expect(error).toMatchObject({ code, status: 400 });
    expect(error.hint).toMatch(hint);
  });

  it('a PATCH merges', async () => {
    const using = client();
    await using.write('secret/data/patched', { data: { a: '1', b: '2' } });
    await using.request({
      method: 'PATCH',
      path: 'secret/data/patched',
      body: { data: { b: null, c: '3' } },
    });
    const { data } = await using.read<{ data: object }>('secret/data/patched');
    expect(data.reveal().data).toEqual({ a: '1', c: '3' });
  });
});
