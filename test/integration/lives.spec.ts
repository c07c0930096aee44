import { token, type VaultEvent } from 'nestjs-vault';
import { afterAll, beforeAll, it } from 'vitest';
import type { Credentials } from '../../lib/leases/lease.js';
import { closeConnections, connect } from '../support/connect.js';
import { describeReal } from '../support/real-servers.js';
import { startOpenBao, type OpenBaoServer } from '../support/servers.mjs';

const PUBLIC_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIzZvlroUl+kO7wEi6/0G3CY3D46vBA8lPgT4jO3azAr';

describeReal('secrets that expire without a lease', () => {
  let bao: OpenBaoServer;
  let client: string;

  beforeAll(async () => {
    bao = await startOpenBao();
    await bao.api('POST', 'identity/oidc/key/k', { allowed_client_ids: '*', verification_ttl: '1h' });
    await bao.api('POST', 'identity/oidc/role/app', { key: 'k', ttl: '5s' });
    await bao.api('POST', 'sys/mounts/ssh', { type: 'ssh' });
    await bao.api('POST', 'ssh/config/ca', { generate_signing_key: true });
    const role = { key_type: 'ca', allow_user_certificates: true, allowed_users: 'app', default_user: 'app' };
    await bao.api('POST', 'ssh/roles/app', { ...role, ttl: '6s', not_before_duration: '30s' });
    // Identity tokens need an entity, which the root token lacks.
    const rules = 'path "identity/oidc/token/*" { capabilities = ["read"] }';
    await bao.api('PUT', 'sys/policies/acl/app', {
      policy: `${rules}\npath "ssh/sign/*" { capabilities = ["update"] }`,
    });
    await bao.api('POST', 'sys/auth/userpass', { type: 'userpass' });
    await bao.api('POST', 'auth/userpass/users/app', { password: 'p', token_policies: 'app' });
    client = (await bao.api('POST', 'auth/userpass/login/app', { password: 'p' })).body.auth.client_token;
  });

  afterAll(async () => {
    await closeConnections();
    await bao?.stop();
  });

  function watch<T>(path: string, parameters?: Record<string, unknown>) {
    const { connection, bus } = connect({ address: bao.address, auth: token(client) });
    const events: VaultEvent[] = [];
    bus.events$.subscribe((event) => events.push(event));
    const seen: { value: Credentials<T>; at: number }[] = [];
    connection.leases
      .watch<T>(path, false, parameters)
      .subscribe((value) => seen.push({ value, at: Date.now() }));
    return { connection, events, seen };
  }

  it.concurrent(
    'F3: an identity token is replaced before it expires, and is valid until then',
    async ({ expect }) => {
      const { connection, events, seen } = watch<{ token: string }>('identity/oidc/token/app');
      await expect.poll(() => seen.length, { timeout: 12_000 }).toBe(2);
      const [first, second] = seen as [(typeof seen)[0], (typeof seen)[0]];
      const claims = (value: Credentials<{ token: string }>) =>
        JSON.parse(Buffer.from(value.data.reveal().token.split('.')[1] ?? '', 'base64url').toString()) as {
          exp: number;
        };
      const end = claims(first.value).exp * 1_000;
      expect(Math.abs(+first.value.lease.validUntil - end)).toBeLessThanOrEqual(1_100);
      expect(second.at).toBeLessThan(end);
      expect(events.filter(({ type }) => type === 'rotated')).toMatchObject([{ reason: 'not-renewable' }]);

      await bao.api('DELETE', 'identity/oidc/role/app');
      await expect.poll(() => connection.status.leases[0]?.state, { timeout: 8_000 }).toBe('degraded');
      await expect.poll(() => connection.status.leases[0]?.state, { timeout: 8_000 }).toBe('expired');
      expect(connection.leases.current('identity/oidc/token/app')).toBeUndefined();
      expect(connection.status.health).toBe('down');
    },
  );

  it.concurrent('F3: a signed key is replaced before its certificate expires', async ({ expect }) => {
    const { events, seen } = watch<{ signed_key: string }>('ssh/sign/app', { public_key: PUBLIC_KEY });
    await expect.poll(() => seen.length, { timeout: 12_000 }).toBe(2);
    const [first, second] = seen as [(typeof seen)[0], (typeof seen)[0]];
    const life = +first.value.lease.validUntil - first.at;
    expect(life).toBeGreaterThan(3_000);
    expect(life).toBeLessThanOrEqual(6_100);
    expect(second.at).toBeLessThan(+first.value.lease.validUntil);
    expect(second.value.data.reveal().signed_key).not.toBe(first.value.data.reveal().signed_key);
    expect(events.filter(({ type }) => /expired|failed/.test(type))).toEqual([]);
  });
});
