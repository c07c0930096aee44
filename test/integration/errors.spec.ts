import { randomUUID } from 'node:crypto';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { firstValueFrom, of } from 'rxjs';
import { map } from 'rxjs/operators';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { appRole } from '../../lib/auth/app-role.js';
import { token } from '../../lib/auth/token.js';
import type { VaultOptions } from '../../lib/config/options.js';
import type { VaultError } from '../../lib/errors/vault-error.js';
import { createRotatingPgPool } from '../../lib/integrations/pg/rotating-pool.js';
import { Secret } from '../../lib/secret/secret.js';
import type { VaultClient } from '../../lib/session/vault-client.js';
import { toUserCredentials, type UserCredentials } from '../../lib/leases/user-credentials.js';
import { closeConnections, connect } from '../support/connect.js';
import { answer, HttpProxy } from '../support/http-proxy.js';
import { expectNoLeak, failureOf } from '../support/leaks.js';
import { describeReal, REFUSED_SECRET_ID } from '../support/real-servers.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  startTcpProxy,
  type OpenBaoServer,
  type PostgresServer,
  type Provisioned,
  type TcpProxy,
} from '../support/servers.mjs';

const BAD_SECRET_ID = 'invalid role or secret ID';
const DENIED = '1 error occurred:\n\t* permission denied\n\n';

describeReal('every failure has its code, a useful hint, and no secret', () => {
  let bao: OpenBaoServer;
  let postgres: PostgresServer;
  let proxy: HttpProxy;
  let role: Provisioned;
  let expiring: Provisioned;
  let backend: TcpProxy;
  const servers: Server[] = [];
  const canaries = new Set<string>();
  const canary = <T extends string>(secret: T): T => {
    canaries.add(secret);
    return secret;
  };

  beforeAll(async () => {
    [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
    expiring = await provision(bao, undefined, {
      approleName: 'expiring',
      approle: { secret_id_ttl: '1s', token_policies: [] },
    });
    role = await provision(bao, postgres, {
      roles: [
        { name: 'app', defaultTtl: '60s', maxTtl: '120s' },
        {
          name: 'wrong-password',
          defaultTtl: '60s',
          maxTtl: '120s',
          creationStatements: [`CREATE ROLE "{{name}}" WITH LOGIN PASSWORD 'not {{password}}'`],
        },
        {
          name: 'no-login',
          defaultTtl: '60s',
          maxTtl: '120s',
          creationStatements: [`CREATE ROLE "{{name}}" WITH NOLOGIN PASSWORD '{{password}}'`],
        },
        { name: 'bad-sql', defaultTtl: '60s', maxTtl: '120s', creationStatements: ['CREATE NONSENSE'] },
      ],
      policy: `
        path "database/creds/*"  { capabilities = ["read"] }
        path "unreachable/creds/*"  { capabilities = ["read"] }
        path "secret/data/app/*" { capabilities = ["read"] }
        path "secret/metadata/app/*" { capabilities = ["read"] }
        path "kv1/*"             { capabilities = ["read"] }`,
    });
    backend = await startTcpProxy(postgres.port);
    await provision(bao, postgres, {
      databaseMount: 'unreachable',
      databaseAddress: backend.address,
      approleName: 'unused',
    });
    proxy = await HttpProxy.start(bao.address);
    canary(bao.rootToken);
    canary(postgres.password);
    canary(role.secretId);
  });

  afterEach(async () => {
    proxy.fault = undefined;
    proxy.dropAnswer = undefined;
    await closeConnections();
    await Promise.all(servers.splice(0).map(stop));
  });
  afterAll(async () => {
    await proxy?.stop();
    await backend?.close();
    await Promise.all([bao?.stop(), postgres?.stop()]);
  });

  function stop(server: Server): Promise<void> {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  }

  /** Starts a server of another kind; returns its address. */
  async function listen(listener: RequestListener): Promise<string> {
    const server = createServer(listener);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const page: RequestListener = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end('<!doctype html><title>Welcome</title>');
  };

  type Ids = { roleId: string; secretId: string; mountPath?: string };
  const logIn = (ids: Partial<Ids> = {}, options: Partial<VaultOptions> = {}) => {
    const auth = appRole({ roleId: role.roleId, secretId: canary(role.secretId), ...ids });
    return connect({ address: proxy.address, auth, ...options }).connection.login();
  };
  /** A client that has logged in; as root if no token is given. */
  const client = (given = bao.rootToken, options: Partial<VaultOptions> = {}) =>
    connect({ address: proxy.address, auth: token(canary(given)), ...options }).connection.client;
  const asRole = (options: Partial<VaultOptions> = {}) =>
    connect({ address: proxy.address, auth: appRole(role), ...options }).connection;

  /** Logs in with another role, so that a lock-out affects no other test. */
  async function ownRole(name: string, approle: object = {}): Promise<Provisioned> {
    const own = await provision(bao, undefined, { approleName: name, approle: { ...approle } });
    canary(own.secretId);
    return own;
  }

  function check(
    error: VaultError,
    expected: { code: string; hint: RegExp; message?: RegExp; status?: number },
  ) {
    expect({ code: error.code, status: error.status, message: error.message }).toMatchObject({
      code: expected.code,
      ...('status' in expected && { status: expected.status }),
    });
    expect(error.hint).toMatch(expected.hint);
    expect(error.message).toMatch(expected.message ?? expected.hint);
    expectNoLeak(error, canaries);
  }

  async function createToken(fields: object): Promise<string> {
    const { body } = await bao.api('POST', 'auth/token/create', fields);
    return canary(body.auth.client_token as string);
  }

  const SECRET_ID = {
    code: 'VAULT_LOGIN_INPUT_INVALID',
    hint: /secret-id\).*compare the role_id/,
    status: REFUSED_SECRET_ID,
  };
  const ANSWERED_400 = { ...SECRET_ID, status: 400 };

  it('secret_id: wrong', async () => {
    const own = await ownRole('wrong');
    check(await failureOf(logIn({ ...own, secretId: canary(randomUUID()) })), SECRET_ID);
  });

  it('secret_id: with a wrong role_id', async () => {
    check(await failureOf(logIn({ roleId: randomUUID() })), ANSWERED_400);
  });

  it('secret_id: used up', async () => {
    const own = await ownRole('once', { secret_id_num_uses: 1 });
    await logIn(own);
    check(await failureOf(logIn(own)), SECRET_ID);
  });

  it('secret_id: expired', async (context) => {
    // HashiCorp Vault accepts it for up to another minute.
    if (bao.kind === 'vault') context.skip();
    const secretId = canary(expiring.secretId);
    const lookup = await bao.api('POST', 'auth/approle/role/expiring/secret-id/lookup', {
      secret_id: secretId,
    });
    const end = Date.parse((lookup.body?.data?.expiration_time as string | undefined) ?? '1970-01-01');
    await vi.waitUntil(() => Date.now() > end + 20, { timeout: 3_000 });
    check(await failureOf(logIn({ ...expiring })), SECRET_ID);
  });

  it('secret_id: destroyed', async () => {
    const own = await ownRole('destroyed');
    await bao.api('POST', 'auth/approle/role/destroyed/secret-id/destroy', { secret_id: own.secretId });
    check(await failureOf(logIn(own)), SECRET_ID);
  });

  it.each(['failed to validate SecretID: secret ID is expired', 'failed to validate SecretID'])(
    'secret_id: in the words of older servers: %s',
    async (words) => {
      proxy.fault = (_request, response) => answer(response, 400, { errors: [words] });
      check(await failureOf(logIn()), ANSWERED_400);
    },
  );

  it('locked out after repeated bad logins: distinguished from a missing method', async () => {
    const own = await ownRole('locked');
    for (let bad = 0; bad < 5; bad++) {
      const body = { role_id: own.roleId, secret_id: 'bad' };
      await bao.api('POST', 'auth/approle/login', body, { token: '' });
    }
    const locked = await failureOf(logIn(own));
    check(locked, {
      code: 'VAULT_LOGIN_LOCKED_OUT',
      hint: /keeps logging in.*15 minutes.*sys\/locked-users/,
      message: /locked this role_id out/,
      status: 403,
    });
    check(await failureOf(logIn({ mountPath: 'nothing-here' })), {
      code: 'VAULT_LOGIN_DENIED',
      hint: /AppRole is enabled at `mountPath`.*`namespace`/,
      message: /auth\/nothing-here\/login/,
      status: 403,
    });
    // That check did not lock out other roles.
    await logIn();
  });

  it('a secret_id that is bound to another network', async () => {
    await bao.api('POST', 'auth/approle/role/cidr', { secret_id_bound_cidrs: ['10.9.8.0/24'] });
    const { body } = await bao.api('GET', 'auth/approle/role/cidr/role-id');
    const issued = await bao.api('POST', 'auth/approle/role/cidr/secret-id');
    const own = {
      roleId: body.data.role_id as string,
      secretId: canary(issued.body.data.secret_id as string),
    };
    const hint = /secret_id_bound_cidrs of the role/;
    check(await failureOf(logIn(own)), { code: 'VAULT_LOGIN_DENIED', hint, status: 400 });
  });

  it.each([
    ['read', 'secret/data/other/x', 'read'],
    ['list', 'secret/metadata/other', 'list'],
    ['write', 'secret/data/app/x', 'create", "update'],
    ['delete', 'secret/data/app/x', 'delete'],
    ['read', 'sys/mounts', 'read'],
    ['read', "secret/data/söme o'ne", 'read'],
  ] as const)(
    'the policy denies %s at %s: the hint names path and capability %s',
    async (verb, path, capability) => {
      const ask = async (using: VaultClient) => {
        if (verb === 'write') return using.write(path, { data: {} });
        return using[verb](path);
      };
      const error = await failureOf(ask(asRole().client));
      check(error, { code: 'VAULT_PERMISSION_DENIED', hint: /Add to a policy/, status: 403 });
      expect(error.hint).toContain(`path "${path}" { capabilities = ["${capability}"] }`);
      // The capability of the hint is enough.
      await bao.api('PUT', 'sys/policies/acl/granted', {
        policy: /path ".*" \{ capabilities = \[.*\] \}/.exec(error.hint)?.[0],
      });
      const granted = client(await createToken({ policies: ['granted'] }));
      const outcome = await ask(granted).catch((reason: unknown) => reason);
      expect((outcome as VaultError | undefined)?.code).not.toBe('VAULT_PERMISSION_DENIED');
    },
  );

  it('the token is invalid from the start', async () => {
    const dead = await createToken({ policies: ['default'] });
    await bao.api('POST', 'auth/token/revoke', { token: dead });
    const expected = {
      code: 'VAULT_TOKEN_INVALID',
      hint: /has expired, was revoked, has no uses left/,
      status: 403,
    };
    check(await failureOf(client(dead).read('secret/data/app/x')), expected);
    check(await failureOf(client(canary('hvs.never-was-a-token')).read('secret/data/app/x')), expected);
  });

  it('the token is revoked during operation, and its source has no other', async () => {
    const given = await createToken({ policies: ['app'] });
    const reader = client(given);
    await failureOf(reader.read('secret/data/app/nothing'));
    await bao.api('POST', 'auth/token/revoke', { token: given });
    const error = await failureOf(reader.read('secret/data/app/nothing'));
    check(error, { code: 'VAULT_TOKEN_INVALID', hint: /revoked/, status: 403 });
  });

  it('sealed, and unsealed again', async () => {
    const sealable = await startOpenBao();
    try {
      const key = await vi.waitUntil(() => /Unseal Key: (\S+)/.exec(sealable.output)?.[1]);
      await sealable.api('POST', 'sys/seal');
      const { connection } = connect({ address: sealable.address, auth: token(canary(sealable.rootToken)) });
      const expected = { code: 'VAULT_SEALED', hint: /Unseal it/, status: 503 };
      check(await failureOf(connection.login()), expected);
      check(await failureOf(logIn({}, { address: sealable.address })), expected);
      await sealable.api('PUT', 'sys/unseal', { key }, { token: '' });
      await expect.poll(() => connection.login().then(() => 'in')).toBe('in');
    } finally {
      await sealable.stop();
    }
  });

  it.each([
    [472, { errors: [] }],
    [473, { errors: [] }],
    [503, { errors: [] }],
    [503, ''],
    [500, { errors: ['local node not active but active cluster node not found'] }],
  ])('standby: %i %j', async (status, body) => {
    proxy.fault = (_request, response) => answer(response, status, body);
    check(await failureOf(client().read('kv1/x')), {
      code: 'VAULT_STANDBY',
      hint: /addresses of all nodes/,
      status,
    });
  });

  it('standby: a redirect to a leader that is not configured', async () => {
    proxy.fault = (_request, response) =>
      answer(response, 307, '', { location: 'https://leader.internal:8200/v1/kv1/x' });
    const error = await failureOf(client().read('kv1/x'));
    check(error, {
      code: 'VAULT_STANDBY',
      hint: /add it to `address`.*did not send the token/,
      message: /leader\.internal/,
    });
  });

  it('rate-limited by a quota of the server', async () => {
    const reader = client();
    await failureOf(reader.read('kv1/nothing'));
    await bao.api('POST', 'sys/quotas/rate-limit/tight', { rate: 0.01, interval: '60s', path: 'kv1/' });
    try {
      await bao.api('GET', 'kv1/x');
      const error = await failureOf(reader.read('kv1/x'));
      check(error, { code: 'VAULT_RATE_LIMITED', hint: /sys\/quotas\/rate-limit/, status: 429 });
    } finally {
      await bao.api('DELETE', 'sys/quotas/rate-limit/tight');
    }
  });

  it.each([
    ['7', 7_000],
    ['86400', 60_000],
    ['0', 0],
    ['soon', undefined],
    ['-3', undefined],
  ])('rate-limited with Retry-After: %s', async (header, retryAfter) => {
    proxy.fault = (_request, response) => answer(response, 429, { errors: [] }, { 'retry-after': header });
    const error = await failureOf(client().read('kv1/x'));
    check(error, { code: 'VAULT_RATE_LIMITED', hint: /quota/ });
    expect(error.retryAfter).toBe(retryAfter);
  });

  it('unreachable: refused', async () => {
    const error = await failureOf(logIn({}, { address: 'http://127.0.0.1:1' }));
    check(error, {
      code: 'VAULT_UNREACHABLE',
      hint: /No server listens at this port of this machine/,
      message: /127\.0\.0\.1:1 \(ECONNREFUSED\)/,
    });
  });

  it('unreachable: a name that does not resolve', async () => {
    const error = await failureOf(logIn({}, { address: 'https://vault.invalid:8200' }));
    check(error, {
      code: 'VAULT_UNREACHABLE',
      hint: /DNS/,
      message: /vault\.invalid.*(ENOTFOUND|EAI_AGAIN)/,
    });
  });

  it('no answer in time: a network that drops packets, and a suspended server', async () => {
    const network = await startTcpProxy(bao.port);
    const timeout = 250;
    const expected = {
      code: 'VAULT_TIMEOUT',
      hint: /`timeout` \(milliseconds\)/,
      message: /no answer from .* in time/,
    };
    try {
      const reader = client(bao.rootToken, { address: `http://${network.address}`, timeout });
      await failureOf(reader.read('kv1/x'));
      network.blackhole();
      const begin = performance.now();
      check(await failureOf(reader.read('kv1/x')), expected);
      expect(performance.now() - begin).toBeLessThan(timeout + 500);
    } finally {
      await network.close();
    }
    const reader = client(bao.rootToken, { timeout });
    await failureOf(reader.read('kv1/x'));
    await bao.pause();
    try {
      check(await failureOf(reader.read('kv1/x')), expected);
    } finally {
      await bao.resume();
    }
  });

  it('connection dropped after the server executed the request', async () => {
    const reader = client();
    await failureOf(reader.read('kv1/x'));
    proxy.dropAnswer = () => true;
    check(await failureOf(reader.write('secret/data/app/dropped', { data: { a: 1 } })), {
      code: 'VAULT_UNREACHABLE',
      hint: /firewalls on the way/,
    });
    const { body } = await bao.api('GET', 'secret/data/app/dropped');
    // A write is not repeated: the server executed it.
    expect(body.data.metadata.version).toBe(1);
  });

  it('wrong address: a web page answers', async () => {
    for (const status of [200, 404, 502]) {
      const address = await listen((_request, response) => {
        response.writeHead(status, { 'content-type': 'text/html' });
        response.end(`<!doctype html><title>Not here</title>`);
      });
      const expected = { code: 'VAULT_NOT_VAULT', hint: /`address`.*(proxy|balancer)/, status };
      check(await failureOf(logIn({}, { address })), expected);
      check(await failureOf(client(bao.rootToken, { address }).read('kv1/x')), expected);
    }
    check(await failureOf(logIn({}, { address: await listen(page) })), {
      code: 'VAULT_NOT_VAULT',
      hint: /web server/,
    });
  });

  it('wrong address: JSON that is not of Vault', async () => {
    const address = await listen((_request, response) => answer(response, 200, { hello: 'world' }));
    check(await failureOf(logIn({}, { address })), {
      code: 'VAULT_RESPONSE_INVALID',
      hint: /proxies and gateways between the application and the server/,
    });
    check(await failureOf(client(bao.rootToken, { address }).read('kv1/x')), {
      code: 'VAULT_RESPONSE_INVALID',
      hint: /proxies and gateways between/,
    });
  });

  it('wrong namespace', async (context) => {
    if (bao.kind === 'vault') context.skip();
    await bao.api('POST', 'sys/namespaces/team');
    const own = await provision(bao, undefined, { namespace: 'team' });
    await logIn(own, { namespace: 'team' });
    await logIn(own, { namespace: '/team/' });
    check(await failureOf(logIn(own, { namespace: 'teem' })), {
      code: 'VAULT_NAMESPACE_NOT_FOUND',
      hint: /Correct `namespace`/,
      message: /"teem"/,
      status: 404,
    });
    const elsewhere = await failureOf(logIn(own));
    check(elsewhere, SECRET_ID);
    // A namespace without AppRole in it.
    await bao.api('POST', 'sys/namespaces/empty');
    check(await failureOf(logIn(own, { namespace: 'empty' })), {
      code: 'VAULT_LOGIN_DENIED',
      hint: /`mountPath` in `namespace`/,
    });
    // A token of another namespace.
    const { body } = await bao.api(
      'POST',
      'auth/token/create',
      { policies: ['default'] },
      { namespace: 'team' },
    );
    const foreign = client(canary(body.auth.client_token as string), { namespace: 'empty' });
    const error = await failureOf(foreign.read('secret/data/app/x'));
    expect(['VAULT_TOKEN_INVALID', 'VAULT_PERMISSION_DENIED']).toContain(error.code);
    expectNoLeak(error, canaries);
  });

  const skews: [string, number, RegExp][] = [
    ['ahead', 600, /CLOCK: the server's clock is \d+ s ahead of this machine's/],
    ['behind', -600, /CLOCK: the server's clock is \d+ s behind this machine's/],
  ];
  it.each(skews)(
    'a clock that is %s is reported if a token or a secret_id is refused',
    async (_way, by, hint) => {
      const date = { date: new Date(Date.now() + by * 1000).toUTCString() };
      const refuse = (status: number, words: string) => {
        proxy.fault = (_request, response) => answer(response, status, { errors: [words] }, date);
      };
      refuse(400, BAD_SECRET_ID);
      check(await failureOf(logIn()), { code: 'VAULT_LOGIN_INPUT_INVALID', hint });
      refuse(403, 'permission denied');
      check(await failureOf(client().read('kv1/x')), { code: 'VAULT_TOKEN_INVALID', hint });
      refuse(403, DENIED);
      check(await failureOf(client().read('kv1/x')), { code: 'VAULT_PERMISSION_DENIED', hint });
      refuse(403, DENIED);
      const seconds = /(\d+) s (?:ahead|behind)/.exec((await failureOf(client().read('kv1/x'))).hint)?.[1];
      expect(Math.abs(Number(seconds) - 600)).toBeLessThan(10);
    },
  );

  it('clocks that agree are not mentioned', async () => {
    const refused = [logIn({ roleId: randomUUID() }), client('hvs.never-was-a-token').read('kv1/x')];
    for (const { hint } of await Promise.all(refused.map(failureOf))) expect(hint).not.toContain('CLOCK');
  });

  it('unknown mount: for a token with and without the right to see mounts', async () => {
    check(await failureOf(client().read('nomount/x')), {
      code: 'VAULT_MOUNT_NOT_FOUND',
      hint: /Correct `mount`.*vault secrets list/,
      message: /nomount\/x/,
      status: 404,
    });
    check(await failureOf(asRole().client.read('nomount/x')), {
      code: 'VAULT_PERMISSION_DENIED',
      hint: /same answer for a missing mount/,
    });
  });

  const issue = (path: string) => firstValueFrom(asRole().leases.watch(path, false));

  it('unknown role', async () => {
    check(await failureOf(issue('database/creds/ghost')), {
      code: 'VAULT_ROLE_NOT_FOUND',
      hint: /vault list <mount>\/roles/,
      message: /database\/creds\/ghost/,
      status: 400,
    });
  });

  it('the engine is not set up for its database', async () => {
    const error = await failureOf(asRole().client.read('database/creds/bad-sql'));
    expect(error.status).toBe(500);
    check(error, { code: 'VAULT_BACKEND_FAILED', hint: /For the operator: / });
  });

  it('the database is down', async () => {
    const reader = asRole().client;
    await reader.read('unreachable/creds/app');
    await backend.cut();
    try {
      const error = await failureOf(reader.read('unreachable/creds/app'));
      check(error, { code: 'VAULT_BACKEND_FAILED', hint: /For the operator: / });
    } finally {
      await backend.restore();
    }
  });

  const pool = (credentials: UserCredentials) => {
    canary(credentials.password.reveal());
    const { host, port, database } = postgres;
    return createRotatingPgPool(of(credentials), { host, port, database, max: 1 });
  };
  const issued = (name: string) =>
    firstValueFrom(
      asRole()
        .leases.watch<{ username: string; password: string }>(`database/creds/${name}`, false)
        .pipe(map(toUserCredentials)),
    );

  it.each([
    ['wrong-password', '28P01'],
    ['no-login', '28000'],
  ])('the database rejects the credential: %s', async (name, sqlState) => {
    const error = await failureOf(pool(await issued(name)));
    check(error, {
      code: 'VAULT_CREDENTIALS_REJECTED',
      hint: /connection_url.*creation_statements/,
      message: new RegExp(`database/creds/${name} \\(SQLSTATE ${sqlState}\\)`),
    });
  });

  it('the database rejects the credential: its user was removed', async () => {
    const credentials = await issued('app');
    await postgres.query(`DROP OWNED BY "${credentials.username.reveal()}"`);
    await postgres.query(`DROP ROLE "${credentials.username.reveal()}"`);
    const error = await failureOf(pool(credentials));
    check(error, {
      code: 'VAULT_CREDENTIALS_REJECTED',
      hint: /lease may have ended/,
      message: /SQLSTATE 28P01/,
    });
  });

  it('an answer without user and password is reported', async () => {
    await bao.api('POST', 'kv1/no-user', { token: canary('canary-in-kv-1234') });
    const { connection } = connect({ address: bao.address, auth: token(bao.rootToken) });
    const stream = connection.leases.watch<never>('kv1/no-user', false).pipe(map(toUserCredentials));
    check(await failureOf(firstValueFrom(stream)), {
      code: 'VAULT_RESPONSE_INVALID',
      hint: /watch\(path\)/,
      message: /no user name and password/,
    });
  });

  it.each(['[]', 'null', '"text"', '7', '{}', '{"data":null}', ''])(
    'a success without data is a failed attempt: %s',
    async (body) => {
      const { connection } = connect({
        address: proxy.address,
        auth: appRole(role),
        retry: { initialDelay: 1_000 },
      });
      await connection.login();
      proxy.fault = (_request, response) => answer(response, 200, body);
      const stream = connection.leases.watch('database/creds/app', false);
      const outcomes: unknown[] = [];
      const subscription = stream.subscribe({
        next: (v) => outcomes.push(v),
        error: (e) => outcomes.push(e),
      });
      await expect
        .poll(() => connection.status.leases[0]?.error?.code)
        .toMatch(/VAULT_(RESPONSE_INVALID|NOT_VAULT)/);
      // The failure may be temporary, so the stream waits.
      expect(outcomes).toEqual([]);
      expectNoLeak(connection.status, canaries);
      subscription.unsubscribe();
      for (const kvVersion of [1, 2] as const) {
        const error = await failureOf(connection.secrets.read('x', { mount: 'kv1', kvVersion }, 0));
        expect(error.code).toMatch(/VAULT_(RESPONSE_INVALID|NOT_VAULT)/);
      }
      check(await failureOf(logIn()), { code: codeOf(body), hint: /between|`address`/ });
    },
  );
  const codeOf = (body: string) =>
    ['null', '"text"', '7'].includes(body) ? 'VAULT_NOT_VAULT' : 'VAULT_RESPONSE_INVALID';

  it.each([
    [{ auth: {} }],
    [{ auth: { client_token: '' } }],
    [{ auth: { client_token: 7, lease_duration: 60 } }],
    [{ auth: { client_token: 'canary-of-a-token' } }],
    [{ auth: 'yes' }],
  ])('a login with the answer %j has failed', async (body) => {
    canary('canary-of-a-token');
    proxy.fault = (_request, response) => answer(response, 200, body);
    check(await failureOf(logIn()), { code: 'VAULT_RESPONSE_INVALID', hint: /gateways between/ });
  });

  it.each([[{}], [{ ttl: '60s' }], [{ ttl: null }]])(
    'a look-up with the answer %j has failed',
    async (data) => {
      proxy.fault = (_request, response) => answer(response, 200, { data });
      check(await failureOf(client().read('kv1/x')), {
        code: 'VAULT_RESPONSE_INVALID',
        hint: /gateways between/,
      });
    },
  );

  const truncated = JSON.stringify({ data: { password: canary('canary-half-way-through') } }).slice(0, -5);
  it.each<[string, (response: ServerResponse) => void]>([
    ['whole', (response) => void answer(response, 200, truncated)],
    [
      'with the connection',
      (response) => {
        response.writeHead(200, { 'content-length': String(truncated.length + 5) });
        response.write(truncated);
        setImmediate(() => response.destroy());
      },
    ],
    [
      'with the connection, in chunks',
      (response) => {
        response.writeHead(200);
        response.write(truncated);
        setImmediate(() => response.destroy());
      },
    ],
  ])('truncated JSON, %s', async (_how, send) => {
    const address = await listen((_request, response) => send(response));
    const error = await failureOf(client(bao.rootToken, { address }).read('kv1/x'));
    expect(['VAULT_NOT_VAULT', 'VAULT_UNREACHABLE']).toContain(error.code);
    expectNoLeak(error, canaries);
  });

  it('an endless answer is cut off, and not kept in memory', async () => {
    let sent = 0;
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    const address = await listen((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const more = () => {
        while (!response.destroyed && response.write(chunk)) sent++;
      };
      response.on('drain', more);
      more();
    });
    const error = await failureOf(client(bao.rootToken, { address }).read('kv1/x'));
    check(error, {
      code: 'VAULT_RESPONSE_TOO_LARGE',
      hint: /which server listens at the address/,
      message: /32 MiB/,
    });
    expect(sent).toBeLessThan(64);
  });

  it('events and status contain no secret', async () => {
    const bad = connect({
      address: proxy.address,
      auth: appRole({ roleId: role.roleId, secretId: new Secret(role.secretId) }),
    });
    await bad.connection.login();
    const credentials = await firstValueFrom(
      bad.connection.leases.watch<{ password: string }>('database/creds/app', false),
    );
    canary(credentials.data.reveal().password);
    proxy.fault = (_request, response) => answer(response, 500, { errors: [role.secretId] });
    await failureOf(bad.connection.client.read('kv1/x'));
    expectNoLeak([bad.bus.recent, bad.connection.status, bad.connection, credentials], canaries);
    expect(bad.bus.recent.map(({ type }) => type)).toEqual(expect.arrayContaining(['login', 'issued']));
  });
});
