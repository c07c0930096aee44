import { appRole, type VaultEvent } from 'nestjs-vault';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { closeConnections, connect } from '../support/connect.js';
import { until } from '../support/driver-load.js';
import { describeReal } from '../support/real-servers.js';
import { startOpenBao, type OpenBaoServer } from '../support/servers.mjs';

describeReal('namespaces', () => {
  let bao: OpenBaoServer;
  let roleId: string;
  let secretId: string;

  const configure = async (method: string, path: string, body: unknown, namespace: string) => {
    const { status, body: answer } = await bao.api(method, path, body, { namespace });
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
    return answer;
  };

  beforeAll(async () => {
    bao = await startOpenBao();
    if (bao.kind !== 'openbao') return;
    await configure('POST', 'sys/namespaces/team', {}, '');
    await configure('POST', 'sys/namespaces/shop', {}, 'team');
    await configure('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } }, 'team/shop');
    // A new KV v2 mount upgrades itself in the background, and answers 400 meanwhile.
    await until(async () => {
      const { status } = await bao.api('GET', 'secret/config', undefined, { namespace: 'team/shop' });
      return status === 200;
    });
    await configure('POST', 'secret/data/app', { data: { key: 'canary-shop' } }, 'team/shop');
    await configure('POST', 'sys/auth/approle', { type: 'approle' }, 'team');
    const policy = 'path "shop/secret/data/*" { capabilities = ["read"] }';
    await configure('PUT', 'sys/policies/acl/shop', { policy }, 'team');
    const role = 'auth/approle/role/shop';
    const settings = { token_policies: 'shop', token_ttl: '2s', token_max_ttl: '4s' };
    await configure('POST', role, settings, 'team');
    roleId = (await configure('GET', `${role}/role-id`, undefined, 'team')).data.role_id;
    secretId = (await configure('POST', `${role}/secret-id`, {}, 'team')).data.secret_id;
  });

  afterEach(closeConnections);
  afterAll(() => bao?.stop());

  it('H7: the login may be in another namespace than the reads; its token is renewed and revoked there', async (context) => {
    context.skip(bao.kind !== 'openbao', 'HashiCorp Vault has namespaces in its Enterprise edition only');
    const { connection, bus } = connect({
      address: bao.address,
      namespace: 'team/shop',
      auth: appRole({ roleId, secretId, namespace: 'team' }),
    });
    const events: VaultEvent[] = [];
    bus.events$.subscribe((event) => events.push(event));
    const of = (type: VaultEvent['type']) => events.filter((event) => event.type === type);
    await connection.login();
    const { data } = await connection.secrets.read<{ key: string }>('app', {});
    expect(data.reveal()).toEqual({ key: 'canary-shop' });
    await expect.poll(() => of('login').length, { timeout: 8_000 }).toBe(2);
    expect(of('token-renewed').length).toBeGreaterThan(0);
    expect([...of('token-renewal-failed'), ...of('login-failed')]).toEqual([]);
    await connection.close();
    expect(of('token-ended').at(-1)).toMatchObject({ how: 'revoke-requested' });
    const { body } = await bao.api('LIST', 'auth/token/accessors', undefined, { namespace: 'team' });
    expect(body.data?.keys ?? []).toEqual([]);
  });
});
