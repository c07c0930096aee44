import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { ConfigModule, ConfigService, registerAs } from '@nestjs/config';
import { firstValueFrom, type Observable } from 'rxjs';
import {
  appRole,
  CredentialsService,
  fromWrappedToken,
  InjectCredentials,
  InjectSecret,
  KvService,
  Secret,
  token,
  vaultConfig,
  VaultClient,
  VaultModule,
  type Credentials,
  type DatabaseCredentials,
  type VaultModuleOptions,
} from 'nestjs-vault';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import { Applications } from '../support/applications.js';
import { answer, HttpProxy, type Fault } from '../support/http-proxy.js';
import { describeReal, REFUSED_SECRET_ID } from '../support/real-servers.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  usersInDatabase,
  type OpenBaoServer,
  type PostgresServer,
  type Provisioned,
} from '../support/servers.mjs';
import { isAlive, quiet, tokensSeen } from '../support/vault-state.js';

/** Injects two credentials and three KV secrets, some of them twice. */
@Injectable()
class Five {
  @InjectSecret('one') readonly one!: Secret;
  @InjectSecret('two', { key: 'value' }) readonly two!: Secret;
  @InjectSecret('three', { key: 'value', version: 1 }) readonly three!: Secret;

  constructor(
    @InjectCredentials('orders') readonly orders$: Observable<DatabaseCredentials>,
    @InjectCredentials('reports') readonly reports$: Observable<DatabaseCredentials>,
    @InjectCredentials({ path: 'database/creds/orders' }) readonly again$: Observable<Credentials>,
  ) {}
}

const FIVE = [
  'GET /v1/database/creds/orders',
  'GET /v1/database/creds/reports',
  'GET /v1/secret/data/one',
  'GET /v1/secret/data/three?version=1',
  'GET /v1/secret/data/two',
];

describeReal('start-up', () => {
  const apps = new Applications();
  let bao: OpenBaoServer;
  let postgres: PostgresServer;
  let proxy: HttpProxy;
  let role: Provisioned;

  beforeAll(async () => {
    [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
    proxy = await HttpProxy.start(bao.address);
    role = await provision(bao, postgres, {
      roles: ['orders', 'reports', 'audit'].map((name) => ({ name, defaultTtl: '60s', maxTtl: '120s' })),
    });
    for (const name of ['one', 'two', 'three'])
      await bao.api('POST', `secret/data/${name}`, { data: { value: `canary-${name}` } });
    apps.guard(bao.rootToken, role.secretId, 'canary-one', 'canary-two', 'canary-three');
  });

  afterAll(async () => {
    await proxy?.stop();
    await Promise.all([bao?.stop(), postgres?.stop()]);
  });

  beforeEach(() => {
    proxy.clear();
    proxy.fault = undefined;
  });

  afterEach(async () => {
    proxy.fault = undefined;
    apps.guardSeen(proxy);
    await apps.finish();
  });

  const options = (more: Partial<VaultModuleOptions> = {}): VaultModuleOptions => ({
    address: proxy.address,
    auth: appRole({ roleId: role.roleId, secretId: role.secretId }),
    retry: { initialDelay: 50, maxDelay: 100 },
    ...more,
  });
  const vault = (more?: Partial<VaultModuleOptions>) => VaultModule.forRoot(options(more));
  const elapsed = async (job: () => Promise<unknown>) => {
    const start = performance.now();
    await job();
    return performance.now() - start;
  };
  const sealed: Fault = (_request, response) => answer(response, 503, { errors: ['Vault is sealed'] });
  /** A port that refuses connections. */
  const closedPort = async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return port;
  };

  it('1 + N requests for N secrets', async () => {
    const app = await apps.start({ imports: [vault()], providers: [Five] });
    expect(proxy.requests[0]).toBe('POST /v1/auth/approle/login');
    expect(proxy.requests.slice(1).sort()).toEqual(FIVE);
    const five = app.get(Five);
    expect([five.two.reveal(), five.three.reveal()]).toEqual(['canary-two', 'canary-three']);
    const users = await usersInDatabase(postgres);
    for (const stream$ of [five.orders$, five.reports$])
      expect(users).toContain((await firstValueFrom(stream$)).username.reveal());
    expect(proxy.requests).toHaveLength(6);
  });

  it('one login and eleven requests with three secrets of the configuration, which are read first', async () => {
    const vaultOptions = options();
    const value = (path: string) => ({ [path]: { path, key: 'value' } });
    for (const name of ['flat', 'object', 'schema', 'a', 'b'])
      await bao.api('POST', `secret/data/${name}`, { data: { value: `canary-${name}-value` } });
    const configuration = [
      vaultConfig({ vault: vaultOptions, values: { ...value('flat'), ...value('object') } }),
      registerAs('object', vaultConfig({ vault: vaultOptions, values: value('object') })),
      registerAs(
        'schema',
        vaultConfig({
          vault: vaultOptions,
          values: value('schema'),
          schema: z.object({ schema: z.string() }),
        }),
      ),
    ];
    @Injectable()
    class Eight extends Five {
      @InjectSecret('a') readonly a!: Secret;
      @InjectSecret('b') readonly b!: Secret;
      // A secret of the configuration, too.
      @InjectSecret('flat') readonly flat!: Secret;
      @InjectCredentials('audit') readonly audit$!: Observable<DatabaseCredentials>;
    }
    // Each answer of the configuration waits for all three requests, and a while for others, which would be too early.
    let arrived = 0;
    let all = () => {};
    const together = new Promise<void>((resolve) => (all = resolve));
    proxy.fault = async ({ url }) => {
      if (!/flat|object|schema/.test(url ?? '')) return false;
      if (++arrived === 3) all();
      await together;
      await sleep(100);
      return false;
    };
    const app = await apps.start({
      imports: [
        VaultModule.forRoot(vaultOptions),
        ConfigModule.forRoot({ isGlobal: true, ignoreEnvFile: true, load: configuration }),
      ],
      providers: [Eight],
    });
    expect(proxy.requests[0]).toBe('POST /v1/auth/approle/login');
    const read = ['flat', 'object', 'schema'].map((name) => `GET /v1/secret/data/${name}`);
    expect(proxy.requests.slice(1, 4).sort()).toEqual(read);
    const others = ['database/creds/audit', 'secret/data/a', 'secret/data/b'].map(
      (path) => `GET /v1/${path}`,
    );
    expect(proxy.requests.slice(4).sort()).toEqual([...others, ...FIVE].sort());
    expect(proxy.requests).toHaveLength(1 + 11);
    expect(app.get(ConfigService).get<Secret>('schema.schema')?.reveal()).toBe('canary-schema-value');
    const tokens = tokensSeen(proxy);
    expect(tokens).toHaveLength(1);
    await app.close();
    expect(await isAlive(bao, tokens[0] as string)).toBe(false);
  });

  it('several keys of one secret are one request', async () => {
    await bao.api('POST', 'secret/data/keys', { data: { a: 'canary-key-a', b: 'canary-key-b' } });
    @Injectable()
    class Keys {
      @InjectSecret('keys', { key: 'a' }) readonly a!: Secret;
      @InjectSecret('keys', { key: 'b' }) readonly b!: Secret;
      @InjectSecret('keys') readonly all!: Secret<{ a: string }>;
      @InjectSecret('keys', { version: 1, key: 'a' }) readonly pinned!: Secret;
    }
    const app = await apps.start({ imports: [vault()], providers: [Keys] });
    const { a, b, all, pinned } = app.get(Keys);
    const values = [a.reveal(), b.reveal(), all.reveal().a, pinned.reveal()];
    expect(values).toEqual(['canary-key-a', 'canary-key-b', 'canary-key-a', 'canary-key-a']);
    expect(proxy.requests.slice(1).sort()).toEqual([
      'GET /v1/secret/data/keys',
      'GET /v1/secret/data/keys?version=1',
    ]);
  });

  it('two more for a wrapped secret_id', async () => {
    const wrapped = await role.newWrappedSecretId();
    apps.guard(wrapped);
    await apps.start({
      imports: [vault({ auth: appRole({ roleId: role.roleId, secretId: fromWrappedToken(wrapped) }) })],
      providers: [Five],
    });
    expect(proxy.requests.slice(0, 3)).toEqual([
      'POST /v1/sys/wrapping/lookup',
      'POST /v1/sys/wrapping/unwrap',
      'POST /v1/auth/approle/login',
    ]);
    expect(proxy.requests.slice(3).sort()).toEqual(FIVE);
  });

  it('one look-up for a given token', async () => {
    const { body } = await bao.api('POST', 'auth/token/create', { policies: ['app'], ttl: '5m' });
    const given = body.auth.client_token as string;
    await apps.start({ imports: [vault({ auth: token(given) })], providers: [Five] });
    expect(proxy.requests[0]).toBe('GET /v1/auth/token/lookup-self');
    expect(proxy.requests.slice(1).sort()).toEqual(FIVE);
  });

  it('the N are concurrent', async () => {
    proxy.fault = async () => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return false;
    };
    const time = await elapsed(() => apps.start({ imports: [vault()], providers: [Five] }));
    const [login, ...reads] = proxy.seen.map(({ at }) => at) as [number, ...number[]];
    expect(reads).toHaveLength(5);
    expect(Math.min(...reads) - login).toBeGreaterThanOrEqual(295);
    expect(Math.max(...reads) - Math.min(...reads)).toBeLessThan(250);
    expect(time).toBeLessThan(1_200);
  });

  it.each(['required', 'deferred'] as const)(
    'a hundred concurrent first reads of one path: one login, one issue (startup.login: %s)',
    async (login) => {
      const app = await apps.start({ imports: [vault({ startup: { login } })] });
      const credentials = app.get(CredentialsService);
      const path = 'database/creds/orders';
      const users = await Promise.all(
        Array.from({ length: 100 }, async (_, index) => {
          if (index % 3 === 0) {
            const { data } = await credentials.get<{ username: string }>(path);
            return data.reveal().username;
          }
          if (index % 3 === 1)
            return (await firstValueFrom(credentials.database('orders'))).username.reveal();
          const { data } = await firstValueFrom(credentials.watch<{ username: string }>(path));
          return data.reveal().username;
        }),
      );
      expect(new Set(users).size).toBe(1);
      expect(await usersInDatabase(postgres)).toContain(users[0]);
      expect(proxy.requests).toEqual(['POST /v1/auth/approle/login', `GET /v1/${path}`]);
    },
  );

  it('deferred: a hundred concurrent requests of any kind make one login', async () => {
    const app = await apps.start({ imports: [vault({ startup: { login: 'deferred' } })] });
    await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        index % 2 ? app.get(KvService).read('one') : app.get(VaultClient).read('secret/data/two'),
      ),
    );
    expect(proxy.count(/login$/)).toBe(1);
    expect(proxy.requests).toHaveLength(101);
  });

  it('deferred: no request before the first use, and none at the end if there was no use', async () => {
    @Injectable()
    class Host {
      constructor(@InjectCredentials('orders') readonly orders$: Observable<DatabaseCredentials>) {}
    }
    const imports = [vault({ startup: { login: 'deferred' } })];
    const app = await apps.start({ imports, providers: [Host] });
    const { orders$ } = app.get(Host);
    expect(app.get(CredentialsService).current('database/creds/orders')).toBeUndefined();
    await quiet(proxy, 150);
    expect(proxy.requests).toEqual([]);
    await firstValueFrom(orders$);
    expect(proxy.requests).toEqual(['POST /v1/auth/approle/login', 'GET /v1/database/creds/orders']);
    await app.close();

    proxy.clear();
    const unused = await apps.start({
      imports: [vault({ startup: { login: 'deferred' } })],
      providers: [Host],
    });
    await unused.close();
    expect(proxy.requests).toEqual([]);
  });

  it('deferred: the application starts while the server is unreachable, and works after that', async () => {
    proxy.fault = sealed;
    const app = await apps.start({ imports: [vault({ startup: { login: 'deferred' } })] });
    const pending = firstValueFrom(app.get(CredentialsService).database('orders'));
    await expect.poll(() => proxy.seen.length).toBeGreaterThan(1);
    proxy.fault = undefined;
    const { username } = await pending;
    expect(await usersInDatabase(postgres)).toContain(username.reveal());
  });

  it('the start waits for a server that is sealed at first, at the login and at the reads', async () => {
    const refusals = new Map<string, number>();
    proxy.fault = (request, response, body) => {
      const count = (refusals.get(request.url ?? '') ?? 0) + 1;
      refusals.set(request.url ?? '', count);
      return count <= 2 ? sealed(request, response, body) : false;
    };
    const app = await apps.start({ imports: [vault()], providers: [Five] });
    expect(app.get(Five).two.reveal()).toBe('canary-two');
    expect(proxy.count(/login$/)).toBe(3);
    for (const path of FIVE) expect(proxy.requests.filter((line) => line === path)).toHaveLength(3);
  });

  it('a server that stays sealed fails the start within startup.timeout, and nothing goes on', async () => {
    proxy.fault = sealed;
    let error: Error | undefined;
    const time = await elapsed(async () => {
      error = await apps.startError({ imports: [vault({ startup: { timeout: 600 } })], providers: [Five] });
    });
    expect(error).toMatchObject({ name: 'VaultError', code: 'VAULT_SEALED', status: 503 });
    expect(time).toBeGreaterThan(400);
    expect(time).toBeLessThan(1_100);
    expect(proxy.requests.length).toBeGreaterThan(3);
    await quiet(proxy, 300);
  });

  it('an address that refuses connections fails the start the same way', async () => {
    const port = await closedPort();
    let error: Error | undefined;
    const time = await elapsed(async () => {
      error = await apps.startError({
        imports: [vault({ address: `http://127.0.0.1:${port}`, startup: { timeout: 500 } })],
      });
    });
    expect(error).toMatchObject({ code: 'VAULT_UNREACHABLE' });
    expect(error?.message).toContain(`127.0.0.1:${port}`);
    expect(time).toBeGreaterThan(300);
    expect(time).toBeLessThan(1_000);
  });

  it('a server that accepts and never answers does not delay the start any longer', async () => {
    proxy.fault = () => new Promise<boolean>(() => undefined);
    let error: Error | undefined;
    const time = await elapsed(async () => {
      error = await apps.startError({ imports: [vault({ timeout: 400, startup: { timeout: 600 } })] });
    });
    expect(error).toMatchObject({ code: 'VAULT_TIMEOUT' });
    expect(time).toBeLessThan(1_500);
  });

  it('login and reads share startup.timeout; the token is revoked', async () => {
    const begin = performance.now();
    proxy.fault = (request, response, body) => {
      const { url = '' } = request;
      if (/revoke-self/.test(url)) return false;
      if (/login/.test(url) && performance.now() - begin > 1_200) return false;
      return sealed(request, response, body);
    };
    let error: Error | undefined;
    const time = await elapsed(async () => {
      error = await apps.startError({ imports: [vault({ startup: { timeout: 2_000 } })], providers: [Five] });
    });
    expect(error).toMatchObject({ code: 'VAULT_STARTUP_FAILED' });
    expect((error as { errors?: unknown[] }).errors).toHaveLength(5);
    expect(time).toBeLessThan(2_700);
    expect(proxy.requests.at(-1)).toBe('POST /v1/auth/token/revoke-self');
    expect(await isAlive(bao, tokensSeen(proxy)[0] as string)).toBe(false);
    await quiet(proxy, 300);
  });

  it('startup.timeout 0: each is tried once', async () => {
    await apps.start({ imports: [vault({ startup: { timeout: 0 } })], providers: [Five] });
    expect(proxy.requests).toHaveLength(6);

    proxy.clear();
    proxy.fault = sealed;
    const error = await apps.startError({ imports: [vault({ startup: { timeout: 0 } })], providers: [Five] });
    expect(error).toMatchObject({ code: 'VAULT_SEALED' });
    expect(proxy.requests).toHaveLength(1);
  });

  it('a permanent failure fails at once', async () => {
    const auth = appRole({ roleId: role.roleId, secretId: 'not-the-secret-id' });
    let error: Error | undefined;
    const time = await elapsed(async () => {
      error = await apps.startError({ imports: [vault({ auth })], providers: [Five] });
    });
    expect(error).toMatchObject({ code: 'VAULT_LOGIN_INPUT_INVALID', status: REFUSED_SECRET_ID });
    expect(proxy.requests).toEqual(['POST /v1/auth/approle/login']);
    expect(time).toBeLessThan(500);
  });
});
