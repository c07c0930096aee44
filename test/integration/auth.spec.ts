import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { appRole } from '../../lib/auth/app-role.js';
import { token } from '../../lib/auth/token.js';
import type { VaultOptions } from '../../lib/config/options.js';
import { fromEnv, fromFile, fromWrappedToken, type SecretSource } from '../../lib/secret/secret-source.js';
import { Secret } from '../../lib/secret/secret.js';
import { closeConnections, connect } from '../support/connect.js';
import { answer, HttpProxy } from '../support/http-proxy.js';
import { expectNoLeak, failureOf } from '../support/leaks.js';
import { describeReal } from '../support/real-servers.js';
import { provision, startOpenBao, type OpenBaoServer, type Provisioned } from '../support/servers.mjs';
import { HandClock } from '../support/virtual-clock.js';

const LOGIN = 'POST /v1/auth/approle/login';
const LOOKUP = 'POST /v1/sys/wrapping/lookup';
const UNWRAP = 'POST /v1/sys/wrapping/unwrap';

describeReal('logging in', () => {
  let bao: OpenBaoServer;
  let proxy: HttpProxy;
  let role: Provisioned;
  let dir: string;
  const canaries = new Set<string>();

  beforeAll(async () => {
    bao = await startOpenBao();
    role = await provision(bao, undefined);
    proxy = await HttpProxy.start(bao.address);
    dir = await mkdtemp(join(tmpdir(), 'nestjs-vault-auth-'));
    canaries.add(bao.rootToken).add(role.secretId);
  });
  afterEach(async () => {
    proxy.fault = undefined;
    proxy.dropAnswer = undefined;
    await closeConnections();
    proxy.clear();
    vi.unstubAllEnvs();
  });
  afterAll(async () => {
    await proxy?.stop();
    await bao?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  const approle = (secretId: SecretSource, options: Partial<VaultOptions> = {}) =>
    connect({ address: proxy.address, auth: appRole({ roleId: role.roleId, secretId }), ...options });
  const given = (source: SecretSource, options: Partial<VaultOptions> = {}) =>
    connect({ address: proxy.address, auth: token(source), ...options });
  async function createToken(fields: object): Promise<string> {
    const { body } = await bao.api('POST', 'auth/token/create', fields);
    canaries.add(body.auth.client_token as string);
    return body.auth.client_token as string;
  }
  const alive = async (one: string) =>
    (await bao.api('GET', 'auth/token/lookup-self', undefined, { token: one })).status === 200;
  /** The token of a connection, recorded by the proxy. */
  const lastToken = () =>
    proxy.seen.findLast(({ headers }) => headers['x-vault-token'])?.headers['x-vault-token'];

  describe('each source of a secret_id', () => {
    it.each<[string, () => SecretSource | Promise<SecretSource>]>([
      ['a value', () => role.secretId],
      ['a Secret', () => new Secret(role.secretId)],
      ['a function', () => () => role.secretId],
      ['an async function', () => async () => new Secret(await role.newSecretId())],
      [
        'fromEnv',
        () => {
          vi.stubEnv('TEST_SECRET_ID', `${role.secretId}\n`);
          return fromEnv('TEST_SECRET_ID');
        },
      ],
      [
        'fromFile',
        async () => {
          await writeFile(join(dir, 'plain'), `\n${role.secretId}\n`);
          return fromFile(join(dir, 'plain'));
        },
      ],
      ['fromWrappedToken', async () => fromWrappedToken(await role.newWrappedSecretId())],
    ])('%s logs in', async (_name, source) => {
      const { connection, bus } = approle(await source());
      await connection.login();
      expect(bus.recent.map(({ type }) => type)).toEqual(['login']);
      expect(connection.status.session).toMatchObject({ state: 'valid', sequence: 1 });
      expect((await connection.client.read('auth/token/lookup-self')).data.reveal()).toMatchObject({
        meta: { role_name: 'app' },
      });
      expectNoLeak([connection, bus.recent, connection.status], canaries);
    });

    it('a login is one request, without a token', async () => {
      await approle(role.secretId).connection.login();
      expect(proxy.requests).toEqual([LOGIN]);
      expect(proxy.seen[0]?.headers).not.toHaveProperty('x-vault-token');
      expect(JSON.parse(proxy.seen[0]?.body ?? '')).toEqual({
        role_id: role.roleId,
        secret_id: role.secretId,
      });
    });

    it('concurrent callers wait for one login', async () => {
      const { connection } = approle(role.secretId);
      await Promise.all(Array.from({ length: 50 }, () => connection.client.read('auth/token/lookup-self')));
      expect(proxy.count(/approle\/login/)).toBe(1);
    });

    it.each<[string, () => SecretSource, RegExp]>([
      [
        'an unset variable',
        () => fromEnv('NESTJS_VAULT_NOT_SET'),
        /environment variable NESTJS_VAULT_NOT_SET/,
      ],
      ['a missing file', () => fromFile(join(dir, 'none')), /file .*none cannot be read \(ENOENT\)/],
      ['a folder', () => fromFile(dir), /cannot be read \(EISDIR\)/],
      ['a function of nothing', () => () => undefined, /secret_id is unset or empty/],
      [
        'a function that fails',
        () => () => Promise.reject(new TypeError(role.secretId)),
        /secret_id threw TypeError/,
      ],
      ['a missing wrapping token', () => fromWrappedToken(fromEnv('NESTJS_VAULT_NOT_SET')), /NOT_SET/],
    ])('%s: no request is sent', async (_what, source, message) => {
      const error = await failureOf(approle(source()).connection.login());
      expect(error.code).toBe('VAULT_SOURCE_UNREADABLE');
      expect(error.message).toMatch(message);
      expect(error.hint).toMatch(/read again at each login/);
      expect(proxy.requests).toEqual([]);
      expectNoLeak(error, canaries);
    });

    it('is read again at each login, here a replaced file', async () => {
      const path = join(dir, 'replaced');
      await writeFile(path, role.secretId);
      const { connection, bus } = approle(fromFile(path));
      await connection.login();
      const next = await role.newSecretId();
      canaries.add(next);
      await writeFile(path, next);
      await bao.api('POST', 'auth/token/revoke', { token: await tokenOf(connection) });
      await connection.client.read('auth/token/lookup-self');
      expect(
        proxy.seen.filter(({ url }) => url.endsWith('login')).map(({ body }) => JSON.parse(body).secret_id),
      ).toEqual([role.secretId, next]);
      expect(bus.recent.filter(({ type }) => type === 'login')).toMatchObject([
        { sequence: 1, reason: 'start' },
        { sequence: 2, reason: 'token-lost' },
      ]);
      expectNoLeak(bus.recent, canaries);
    });

    it('H3: a file that is deleted after reading is used for later logins from memory', async () => {
      const path = join(dir, 'deleted');
      await writeFile(path, role.secretId);
      const { connection, bus } = approle(fromFile(path, { deleteAfterRead: true }));
      await connection.login();
      await bao.api('POST', 'auth/token/revoke', { token: await tokenOf(connection) });
      await connection.client.read('auth/token/lookup-self');
      expect(proxy.count(/approle\/login/)).toBe(2);
      expect(bus.recent.filter(({ type }) => type === 'warning')).toEqual([]);
    });

    it.runIf(process.platform === 'linux')(
      'H3: a file that cannot be deleted is a warning event',
      async () => {
        const { connection, bus } = approle(fromFile('/proc/self/comm', { deleteAfterRead: true }));
        await failureOf(connection.login());
        expect(bus.recent.find(({ type }) => type === 'warning')).toMatchObject({
          code: 'login-input-not-deleted',
          message: expect.stringContaining('/proc/self/comm') as string,
        });
      },
    );
  });

  /** Reads once, so that the token is seen at the proxy. */
  async function tokenOf(connection: ReturnType<typeof connect>['connection']): Promise<string> {
    await connection.client.read('auth/token/lookup-self');
    return String(lastToken());
  }

  describe('a response-wrapping token', () => {
    it('is looked up, unwrapped and used: three requests', async () => {
      const wrapping = await role.newWrappedSecretId();
      await approle(fromWrappedToken(wrapping)).connection.login();
      expect(proxy.requests).toEqual([LOOKUP, UNWRAP, LOGIN]);
      const [lookup, unwrap] = proxy.seen;
      expect(lookup?.headers).not.toHaveProperty('x-vault-token');
      expect(unwrap?.headers['x-vault-token']).toBe(wrapping);
    });

    it('is unwrapped once, for any number of logins', async () => {
      const { connection } = approle(fromWrappedToken(await role.newWrappedSecretId()));
      await connection.login();
      await bao.api('POST', 'auth/token/revoke', { token: await tokenOf(connection) });
      await connection.client.read('auth/token/lookup-self');
      expect([proxy.count(/wrapping\/unwrap/), proxy.count(/approle\/login/)]).toEqual([1, 2]);
    });

    it('a new wrapping token from the source is unwrapped', async () => {
      const path = join(dir, 'wrapped');
      await writeFile(path, await role.newWrappedSecretId());
      const { connection } = approle(fromWrappedToken(fromFile(path)));
      await connection.login();
      await writeFile(path, await role.newWrappedSecretId());
      await bao.api('POST', 'auth/token/revoke', { token: await tokenOf(connection) });
      await connection.client.read('auth/token/lookup-self');
      expect(proxy.count(/wrapping\/unwrap/)).toBe(2);
    });

    it.each(['used', 'revoked', 'made up', 'not a wrapping token'])('%s: a security error', async (state) => {
      let wrapping = await role.newWrappedSecretId();
      if (state === 'used') await bao.api('POST', 'sys/wrapping/unwrap', undefined, { token: wrapping });
      if (state === 'revoked') await bao.api('POST', 'auth/token/revoke', { token: wrapping });
      if (state === 'made up') wrapping = 'hvs.canary-made-up';
      if (state === 'not a wrapping token') wrapping = await createToken({ policies: ['default'] });
      canaries.add(wrapping);
      const error = await failureOf(approle(fromWrappedToken(wrapping)).connection.login());
      expect(error.code).toBe('VAULT_WRAPPING_TOKEN_INVALID');
      expect(error.hint).toMatch(
        /SECURITY: .*another party has the secret.*Destroy that secret \(revoke it, if it is a token\)/,
      );
      expect(proxy.count(/approle\/login/)).toBe(0);
      expectNoLeak(error, canaries);
    });

    it.each<[string, { creationPath?: string }]>([
      ['auth/approle/role/app/secret-id', { creationPath: 'auth/approle/role/other/secret-id' }],
      ['auth/approle/role/app/secret-id', { creationPath: 'auth/approle/role/app' }],
      ['sys/wrapping/wrap', {}],
      ['sys/wrapping/wrap', { creationPath: 'auth/approle/role/app/secret-id' }],
      ['secret/data/auth/approle/role/app/secret-id', {}],
    ])('created at %s, expected %o: refused, and still whole', async (path, options) => {
      const body = path.startsWith('secret')
        ? { data: { secret_id: 'canary-swapped-in' } }
        : { secret_id: 'canary-swapped-in' };
      if (path.startsWith('secret')) await bao.api('POST', path, body);
      const wrapped = await bao.api(
        path.startsWith('secret') ? 'GET' : 'POST',
        path,
        path.startsWith('secret') ? undefined : body,
        {
          headers: { 'X-Vault-Wrap-TTL': '60s' },
        },
      );
      const wrapping = wrapped.body.wrap_info.token as string;
      canaries.add(wrapping);
      const error = await failureOf(approle(fromWrappedToken(wrapping, options)).connection.login());
      expect(error.code).toBe('VAULT_WRAPPING_PATH_MISMATCH');
      expect(error.hint).toMatch(/SECURITY: .*exchanged.*not unwrapped/);
      if (options.creationPath) expect(error.hint).toContain(options.creationPath);
      expect(proxy.requests).toEqual([LOOKUP]);
      expectNoLeak(error, canaries);
      const unwrapped = await bao.api('POST', 'sys/wrapping/unwrap', undefined, { token: wrapping });
      expect(unwrapped.status).toBe(200);
    });

    it('the exact path is enough, also at another mount', async () => {
      const mountPath = 'team/approle';
      const own = await provision(bao, undefined, { approleMount: mountPath });
      const creationPath = 'auth/team/approle/role/app/secret-id';
      for (const options of [{ creationPath }, {}]) {
        const secretId = fromWrappedToken(await own.newWrappedSecretId(), options);
        const auth = appRole({ roleId: own.roleId, secretId, mountPath: `/${mountPath}/` });
        await connect({ address: proxy.address, auth }).connection.login();
      }
      // A token for the usual mount is not valid for this one.
      const secretId = fromWrappedToken(await role.newWrappedSecretId());
      const auth = appRole({ roleId: own.roleId, secretId, mountPath });
      const error = await failureOf(connect({ address: proxy.address, auth }).connection.login());
      expect(error.code).toBe('VAULT_WRAPPING_PATH_MISMATCH');
    });

    it('works in a namespace', async (context) => {
      if (bao.kind === 'vault') context.skip();
      await bao.api('POST', 'sys/namespaces/team');
      const own = await provision(bao, undefined, { namespace: 'team' });
      const auth = appRole({
        roleId: own.roleId,
        secretId: fromWrappedToken(await own.newWrappedSecretId()),
      });
      await connect({ address: proxy.address, auth, namespace: 'team' }).connection.login();
    });

    it('a look-up that gets no answer is repeated', async () => {
      const wrapping = await role.newWrappedSecretId();
      canaries.add(wrapping);
      let drops = 1;
      proxy.dropAnswer = ({ url }) => url === '/v1/sys/wrapping/lookup' && drops-- > 0;
      const { connection } = approle(fromWrappedToken(wrapping), { startup: { timeout: 2_000 } });
      await connection.login();
      expect(proxy.requests).toEqual([LOOKUP, LOOKUP, UNWRAP, LOGIN]);
    });
  });

  describe('a secret_id that was refused', () => {
    it('is not sent again within a minute, unless the source has another', async () => {
      const clock = new HandClock();
      let current = 'canary-wrong-secret-id';
      canaries.add(current);
      const auth = appRole({ roleId: role.roleId, secretId: () => current });
      const { connection } = connect({ address: proxy.address, auth }, clock);
      const first = await failureOf(connection.login());
      expect(first.code).toBe('VAULT_LOGIN_INPUT_INVALID');
      for (let minute = 0; minute < 59_000; minute += 10_000) {
        clock.advance(9_800);
        expect((await failureOf(connection.login())).code).toBe('VAULT_LOGIN_INPUT_INVALID');
      }
      expect(proxy.requests).toEqual([LOGIN]);
      clock.advance(5_000);
      await failureOf(connection.login());
      expect(proxy.requests).toEqual([LOGIN, LOGIN]);
      clock.advance(10);
      current = role.secretId;
      await connection.login();
      expect(proxy.requests).toEqual([LOGIN, LOGIN, LOGIN]);
    });

    it('a temporary failure is retried', async () => {
      const { connection } = approle(role.secretId, { startup: { timeout: 2_000 } });
      let sealed = 3;
      proxy.fault = (_request, response) =>
        sealed-- > 0 && answer(response, 503, { errors: ['Vault is sealed'] });
      await connection.login();
      expect(proxy.requests).toEqual([LOGIN, LOGIN, LOGIN, LOGIN]);
    });
  });

  it('the method at another mount, in a namespace', async (context) => {
    if (bao.kind === 'vault') context.skip();
    await bao.api('POST', 'sys/namespaces/division');
    const own = await provision(bao, undefined, { namespace: 'division', approleMount: 'machines' });
    const auth = appRole({ roleId: own.roleId, secretId: own.secretId, mountPath: 'machines' });
    const { connection } = connect({ address: proxy.address, auth, namespace: 'division' });
    await connection.login();
    expect(proxy.requests).toEqual(['POST /v1/auth/machines/login']);
    expect(proxy.seen[0]?.headers['x-vault-namespace']).toBe('division');
    await connection.client.read('auth/token/lookup-self');
  });

  it('a role that binds no secret_id logs in without one', async () => {
    const fields = { bind_secret_id: false, token_bound_cidrs: ['127.0.0.1/32'], token_policies: ['app'] };
    await bao.api('POST', 'auth/approle/role/open', fields);
    const { body } = await bao.api('GET', 'auth/approle/role/open/role-id');
    const auth = appRole({ roleId: body.data.role_id as string });
    const { connection } = connect({ address: proxy.address, auth });
    await connection.login();
    expect(JSON.parse(proxy.seen[0]?.body ?? '')).toEqual({ role_id: body.data.role_id });
    const without = appRole({ roleId: role.roleId });
    const error = await failureOf(connect({ address: proxy.address, auth: without }).connection.login());
    expect(error.message).toMatch(/requires a secret_id/);
  });

  it.each<[string, object, string, RegExp]>([
    [
      'a secret_id',
      { cidr_list: ['10.9.0.0/16'] },
      'VAULT_LOGIN_DENIED',
      /secret_id may not be used.*cidr_list/,
    ],
    [
      'a secret_id of some uses',
      { cidr_list: ['10.9.0.0/16'], num_uses: 2 },
      'VAULT_LOGIN_DENIED',
      /secret_id may not be used.*cidr_list/,
    ],
    [
      'the token of a secret_id',
      { token_bound_cidrs: ['10.9.0.0/16'] },
      'VAULT_TOKEN_INVALID',
      /refused at once.*Look at token_bound_cidrs/,
    ],
  ])('%s that is bound to other networks', async (_what, bounds, code, message) => {
    const { body } = await bao.api('POST', 'auth/approle/role/app/secret-id', bounds);
    const secretId = body.data.secret_id as string;
    canaries.add(secretId);
    const { connection } = approle(secretId);
    const error = await failureOf(connection.login().then(() => connection.client.read('kv1/none')));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expectNoLeak(error, canaries);
  });

  it('a login in a namespace that does not contain that of the connection', async (context) => {
    if (bao.kind === 'vault') context.skip();
    await bao.api('POST', 'sys/namespaces/apart');
    const own = await provision(bao, undefined, { namespace: 'apart' });
    const auth = appRole({ roleId: own.roleId, secretId: own.secretId, namespace: 'apart' });
    const { connection } = connect({ address: proxy.address, auth });
    await connection.login();
    const error = await failureOf(connection.client.read('secret/data/app/x'));
    expect(error.code).toBe('VAULT_PERMISSION_DENIED');
    expect(error.message).toMatch(/A token of namespace "apart" has no rights at .* in the root namespace/);
  });

  it('a token out of a wrapping token', async () => {
    const { body } = await bao.api(
      'POST',
      'auth/token/create',
      { policies: ['app'], ttl: '60s' },
      { headers: { 'X-Vault-Wrap-TTL': '60s' } },
    );
    const { connection } = given(fromWrappedToken(body.wrap_info.token as string));
    await connection.login();
    expect(proxy.requests).toEqual([LOOKUP, UNWRAP, 'GET /v1/auth/token/lookup-self']);
    const own = await tokenOf(connection);
    await connection.close();
    // The token counts as given, though it was wrapped.
    expect(await alive(own)).toBe(true);
  });

  describe('a token that was given', () => {
    it.each<[string, object, object]>([
      ['periodic', { period: '60s', policies: ['app'] }, { action: 'renew', reason: 'renewal' }],
      ['short', { ttl: '30s', policies: ['app'] }, { action: 'renew', reason: 'renewal' }],
      [
        'not renewable',
        { ttl: '30s', renewable: false, policies: ['app'] },
        { action: 'login', reason: 'not-renewable' },
      ],
      [
        'batch',
        { type: 'batch', ttl: '60s', policies: ['app'] },
        { action: 'login', reason: 'not-renewable' },
      ],
    ])('%s: one look-up, its TTL, and the next step', async (_what, fields, next) => {
      const one = await createToken(fields);
      const { connection, bus } = given(one);
      const before = Date.now();
      await connection.login();
      expect(proxy.requests).toEqual(['GET /v1/auth/token/lookup-self']);
      expect(connection.status.session).toMatchObject({ state: 'valid', next });
      const ttl = (connection.status.session.validUntil?.getTime() ?? 0) - before;
      expect(ttl).toBeGreaterThan(25_000);
      expect(ttl).toBeLessThanOrEqual(61_000);
      await connection.close();
      // The client does not revoke a given token.
      expect(await alive(one)).toBe(true);
      expect(proxy.count(/revoke/)).toBe(0);
      expectNoLeak([bus.recent, connection.status], canaries);
    });

    it('root: never expires, is never renewed, never revoked', async () => {
      const { connection } = given(bao.rootToken);
      await connection.login();
      expect(connection.status.session).toMatchObject({
        state: 'valid',
        next: { action: 'none', reason: 'never-expires' },
      });
      await connection.close();
      expect(await alive(bao.rootToken)).toBe(true);
    });

    it('with few uses: the number left is known', async () => {
      const one = await createToken({ policies: ['default'], num_uses: 3, ttl: '60s' });
      const { connection } = given(one);
      await connection.login();
      expect(connection.status.session.next.reason).toBe('uses');
    });

    it('a short one is renewed before its end', async () => {
      const one = await createToken({ ttl: '2s', policies: ['app'] });
      const { connection, bus } = given(one);
      await connection.login();
      await expect
        .poll(() => bus.recent.map(({ type }) => type), { timeout: 3_000 })
        .toContain('token-renewed');
      expect(connection.status.session.state).toBe('valid');
    });

    it('is read again from its source when it dies', async () => {
      const path = join(dir, 'token');
      const [first, second] = [
        await createToken({ policies: ['app'] }),
        await createToken({ policies: ['app'] }),
      ];
      await writeFile(path, first);
      const { connection, bus } = given(fromFile(path));
      await connection.client.read('auth/token/lookup-self');
      await writeFile(path, `${second}\n`);
      await bao.api('POST', 'auth/token/revoke', { token: first });
      await connection.client.read('auth/token/lookup-self');
      expect(lastToken()).toBe(second);
      expect(connection.status.session).toMatchObject({ state: 'valid', sequence: 2 });
      expectNoLeak(bus.recent, canaries);
    });

    it('the token of a login is revoked at the end', async () => {
      const { connection, bus } = approle(role.secretId);
      const own = await tokenOf(connection);
      expect(await alive(own)).toBe(true);
      await connection.close();
      expect(await alive(own)).toBe(false);
      expect(proxy.count(/revoke-self/)).toBe(1);
      expect(bus.recent.map(({ type }) => type)).toContain('token-ended');
    });
  });

  it('G4: a login whose answer was lost is repeated', async () => {
    let drops = 1;
    proxy.dropAnswer = () => drops-- > 0;
    const { connection } = approle(role.secretId, { startup: { timeout: 2_000 } });
    await connection.login();
    expect(proxy.requests).toEqual([LOGIN, LOGIN]);
    expect(connection.status.session).toMatchObject({ sequence: 1, state: 'valid' });
  });
});
