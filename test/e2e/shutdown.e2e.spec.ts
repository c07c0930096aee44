import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  Module,
  type DynamicModule,
  type INestApplication,
} from '@nestjs/common';
import type { Pool } from 'pg';
import { firstValueFrom, lastValueFrom, type Observable } from 'rxjs';
import {
  appRole,
  CredentialsService,
  getCredentialsToken,
  KvService,
  token,
  VaultModule,
  type DatabaseCredentials,
  type VaultModuleOptions,
} from 'nestjs-vault';
import { createRotatingPgPool } from 'nestjs-vault/pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { Applications, expectNoSecrets } from '../support/applications.js';
import { HttpProxy } from '../support/http-proxy.js';
import { describeReal } from '../support/real-servers.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  usersInDatabase,
  type OpenBaoServer,
  type PostgresServer,
  type Provisioned,
} from '../support/servers.mjs';
import { isAlive, leasesBelow, quiet, tokensSeen } from '../support/vault-state.js';

const ORDERS = 'database/creds/orders';

describeReal('shutdown', () => {
  const apps = new Applications();
  let bao: OpenBaoServer;
  let postgres: PostgresServer;
  let proxy: HttpProxy;
  let role: Provisioned;

  beforeAll(async () => {
    [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
    proxy = await HttpProxy.start(bao.address);
    role = await provision(bao, postgres, {
      roles: [
        { name: 'orders', defaultTtl: '60s', maxTtl: '120s' },
        { name: 'second', defaultTtl: '60s', maxTtl: '120s' },
        { name: 'short', defaultTtl: '2s', maxTtl: '60s' },
        { name: 'capped', defaultTtl: '2s', maxTtl: '2s' },
      ],
    });
    await bao.api('POST', 'secret/data/app', { data: { key: 'canary-kv-value' } });
    apps.guard(bao.rootToken, role.secretId, 'canary-kv-value');
  });

  afterAll(async () => {
    await proxy?.stop();
    await Promise.all([bao?.stop(), postgres?.stop()]);
  });

  beforeEach(async () => {
    proxy.clear();
    // Users retired by the previous test are removed by now, or soon.
    await expect.poll(() => usersInDatabase(postgres), { timeout: 4_000 }).toEqual([]);
  });

  afterEach(async () => {
    proxy.fault = undefined;
    apps.guardSeen(proxy);
    await apps.finish();
  });

  const vault = (more: Partial<VaultModuleOptions> = {}): DynamicModule =>
    VaultModule.forRoot({
      address: proxy.address,
      auth: appRole({ roleId: role.roleId, secretId: role.secretId }),
      retry: { initialDelay: 100, maxDelay: 200 },
      ...more,
    });
  const start = async (more?: Partial<VaultModuleOptions>) => {
    const app = await apps.start({ imports: [vault(more)] });
    return { app, credentials: app.get(CredentialsService) };
  };
  const pool = (role: string) => ({
    provide: 'POOL',
    inject: [getCredentialsToken(role)],
    useFactory: (credentials$: Observable<DatabaseCredentials>) =>
      createRotatingPgPool(credentials$, {
        host: postgres.host,
        port: postgres.port,
        database: postgres.database,
      }),
  });
  const revocations = () => proxy.count(/revoke-self$/);
  const retirements = () => proxy.seen.filter(({ body }) => /"increment":1\b/.test(body)).length;
  const gone = () => expect.poll(() => usersInDatabase(postgres), { timeout: 4_000 }).toEqual([]);
  const closeTime = async (app: { close(): Promise<void> }) => {
    const begin = performance.now();
    await app.close();
    return performance.now() - begin;
  };
  const ended = (stream$: Observable<unknown>) =>
    lastValueFrom(stream$, { defaultValue: undefined }).then(
      () => 'completed',
      () => 'failed',
    );
  const nothing: (...args: unknown[]) => void = () => undefined;
  const never = () => new Promise<boolean>(nothing);
  const listen = async (app: INestApplication) => {
    await app.listen(0, '127.0.0.1');
    return app.getUrl();
  };
  const request = (url: string) => fetch(url, { headers: { connection: 'close' } });

  it('a request in flight finishes on its connection; then one revoke-self, and the user is removed', async () => {
    let entered: () => void = nothing;
    const inFlight = new Promise<void>((resolve) => (entered = resolve));
    @Controller()
    class SlowController {
      constructor(@Inject('POOL') private readonly pool: Pool) {}

      @Get('slow')
      async slow() {
        // Two queries, the second on any connection of the pool: together longer than the lease of 2 s without renewal.
        entered();
        await this.pool.query('select pg_sleep(1.6)');
        const { rows } = await this.pool.query<{ user: string }>(
          'select current_user as user, pg_sleep(0.9)',
        );
        return { user: rows[0]?.user, revocations: revocations() };
      }
    }
    const module = await apps.compile({
      imports: [vault()],
      controllers: [SlowController],
      providers: [pool('short')],
    });
    const app = module.createNestApplication();
    const url = await listen(app);
    const credentials = app.get(CredentialsService);
    const stream = ended(credentials.database('short'));
    const response = request(`${url}/slow`);
    await inFlight;
    const closing = app.close();

    const answered = await response;
    expect(answered.status).toBe(200);
    const body = (await answered.json()) as { user: string; revocations: number };
    expect(body.user).toMatch(/^v-.*short/);
    expect(body.revocations).toBe(0);
    await closing;
    expect(proxy.count(/sys\/leases\/renew$/)).toBeGreaterThanOrEqual(1);
    expect(proxy.count(/creds\/short$/)).toBe(1);
    expect(revocations()).toBe(1);
    expect(proxy.requests.at(-1)).toBe('POST /v1/auth/token/revoke-self');
    expect(await stream).toBe('completed');
    expect(app.get<Pool>('POOL').ended).toBe(true);
    expect(await isAlive(bao, tokensSeen(proxy)[0] as string)).toBe(false);
    await gone();
    await quiet(proxy, 200);
  });

  it('while requests drain, a first read is still served, and nothing is rotated', async () => {
    let entered: () => void = nothing;
    let goOn: () => void = nothing;
    const inFlight = new Promise<void>((resolve) => (entered = resolve));
    const closingBegan = new Promise<void>((resolve) => (goOn = resolve));
    @Controller()
    class LateController {
      constructor(
        private readonly credentials: CredentialsService,
        private readonly kv: KvService,
      ) {}

      @Get('late')
      async late() {
        entered();
        await closingBegan;
        const { data } = await this.credentials.get<{ username: string }>('database/creds/second');
        await this.kv.read('app');
        // After a failed renewal, the lease would be rotated now.
        await expect.poll(() => proxy.count(/sys\/leases\/renew$/), { timeout: 3_000 }).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 250));
        return { user: data.reveal().username };
      }
    }
    const module = await apps.compile({ imports: [vault()], controllers: [LateController] });
    const app = module.createNestApplication();
    const url = await listen(app);
    await app.get(CredentialsService).get('database/creds/capped');
    const response = request(`${url}/late`);
    await inFlight;
    const closing = app.close();
    // beforeApplicationShutdown has run when the server no longer accepts connections.
    await expect
      .poll(() =>
        request(`${url}/none`).then(
          ({ status }) => status,
          () => 'refused',
        ),
      )
      .toBe('refused');
    goOn();
    const body = (await (await response).json()) as { user: string };
    expect(body.user).toMatch(/second/);
    await closing;
    expect(proxy.count(/creds\/capped$/)).toBe(1);
    expect(revocations()).toBe(1);
    await gone();
  });

  it('SIGTERM, with shutdown hooks enabled: drained, revoked, and no secret printed', async () => {
    const runner = fileURLToPath(new URL('../support/run-typescript.mjs', import.meta.url));
    const fixture = fileURLToPath(new URL('fixtures/signal-app.ts', import.meta.url));
    const child = spawn(process.execPath, [runner, fixture], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        ADDRESS: proxy.address,
        ROLE_ID: role.roleId,
        SECRET_ID: role.secretId,
        PG_HOST: postgres.host,
        PG_PORT: String(postgres.port),
        PG_DATABASE: postgres.database,
      },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    const exit = once(child, 'exit');
    try {
      await expect.poll(() => output, { timeout: 15_000 }).toContain('LISTENING');
      const url = /LISTENING (\S+)/.exec(output)?.[1] ?? '';
      const response = request(`${url}/slow`);
      await expect
        .poll(async () => {
          const { rows } = await postgres.query(
            "select 1 from pg_stat_activity where query like '%pg_sleep(0.7)%' and state = 'active' and pid <> pg_backend_pid()",
          );
          return rows.length;
        })
        .toBe(1);
      child.kill('SIGTERM');
      const answered = await response;
      expect(answered.status).toBe(200);
      expect(((await answered.json()) as { user: string }).user).toMatch(/^v-.*orders/);
      const [code, signal] = (await exit) as [number | null, string | null];
      expect(signal ?? code).toBe('SIGTERM');
    } finally {
      child.kill('SIGKILL');
    }
    expect(revocations()).toBe(1);
    await gone();
    expect(output).toContain('logged in');
    const [secretToken] = tokensSeen(proxy);
    expectNoSecrets(output, [role.secretId, secretToken as string]);
  });

  it('with an unreachable server it ends within shutdown.timeout, and does not throw', async () => {
    // One server accepts and never answers, the other one refuses connections.
    const { app, credentials } = await start({ shutdown: { timeout: 600 } });
    const stream = ended(credentials.database('orders'));
    await credentials.get(ORDERS);
    proxy.fault = never;
    const time = await closeTime(app);
    expect(time).toBeLessThan(900);
    expect(await stream).toBe('completed');
    expect(credentials.recentEvents.filter(({ type }) => type === 'token-ended')).toMatchObject([
      { how: 'revoke-failed' },
    ]);
    expect(credentials.recentEvents.at(-1)?.type).toBe('closed');
    proxy.fault = undefined;

    const second = await HttpProxy.start(bao.address);
    const other = await start({ address: second.address, shutdown: { timeout: 600 } });
    await other.credentials.get(ORDERS);
    apps.guardSeen(second);
    await second.stop();
    expect(await closeTime(other.app)).toBeLessThan(900);

    for (const revoked of [...tokensSeen(proxy), ...tokensSeen(second)])
      await bao.api('POST', 'auth/token/revoke', { token: revoked });
  });

  it('a given token is not revoked, but its leases end soon', async () => {
    const { body } = await bao.api('POST', 'auth/token/create', { policies: ['app'], ttl: '5m' });
    const given = body.auth.client_token as string;
    const { app, credentials } = await start({ auth: token(given) });
    await credentials.get(ORDERS);
    await credentials.get('database/creds/second');
    expect(await usersInDatabase(postgres)).toHaveLength(2);
    await app.close();
    expect(revocations()).toBe(0);
    expect(retirements()).toBe(2);
    expect(await isAlive(bao, given)).toBe(true);
    expect(credentials.recentEvents.filter(({ type }) => type === 'retired')).toHaveLength(2);
    await gone();
    expect(await leasesBelow(bao, `${ORDERS}/`)).toEqual([]);
  });

  it('shutdown.revoke false: the token stays valid, its leases end soon', async () => {
    const { app, credentials } = await start({ shutdown: { revoke: false } });
    await credentials.get(ORDERS);
    await app.close();
    expect(revocations()).toBe(0);
    expect(retirements()).toBe(1);
    expect(await isAlive(bao, tokensSeen(proxy)[0] as string)).toBe(true);
    await gone();
  });

  it('a held credential delays the revocation until it is released', async () => {
    const { app, credentials } = await start();
    const { lease } = await credentials.get(ORDERS);
    const release = lease.hold();
    const stream = ended(credentials.database('orders'));
    const closing = closeTime(app);
    // The stream completes first, which notifies the holder.
    expect(await stream).toBe('completed');
    await quiet(proxy, 300);
    expect(await usersInDatabase(postgres)).toHaveLength(1);
    release();
    expect(await closing).toBeLessThan(1_500);
    expect(revocations()).toBe(1);
    await gone();
  });

  it('a credential that is never released delays it for a part of shutdown.timeout', async () => {
    const { app, credentials } = await start({ shutdown: { timeout: 1_000 } });
    const { lease } = await credentials.get(ORDERS);
    lease.hold();
    const time = await closeTime(app);
    expect(time).toBeGreaterThan(300);
    expect(time).toBeLessThan(1_100);
    expect(revocations()).toBe(1);
    await gone();
  });

  it('the shutdown waits for a pending login, and revokes its token', async () => {
    const { app, credentials } = await start({ startup: { login: 'deferred' } });
    proxy.fault = async (incoming) => {
      if (/login/.test(incoming.url ?? '')) await new Promise((resolve) => setTimeout(resolve, 250));
      return false;
    };
    const first = credentials.get(ORDERS).then(nothing, (error: unknown) => error);
    await expect.poll(() => proxy.count(/login$/)).toBe(1);
    await app.close();
    expect(revocations()).toBe(1);
    expect(proxy.count(/creds/)).toBe(0);
    expect(await first).toMatchObject({ name: 'VaultError' });
    expect(await isAlive(bao, tokensSeen(proxy)[0] as string)).toBe(false);
  });

  it('after the shutdown no request is sent, and calls are rejected with that reason', async () => {
    const { app, credentials } = await start();
    await credentials.get(ORDERS);
    const kv = app.get(KvService);
    await app.close();
    proxy.clear();
    const closed = { code: 'VAULT_CLOSED' };
    await expect(credentials.get(ORDERS)).rejects.toMatchObject(closed);
    await expect(credentials.get('database/creds/second')).rejects.toMatchObject(closed);
    await expect(firstValueFrom(credentials.database('orders'))).rejects.toMatchObject(closed);
    await expect(kv.read('app')).rejects.toMatchObject(closed);
    expect(credentials.current(ORDERS)).toBeUndefined();
    // A second close does nothing.
    await app.close();
    expect(proxy.requests).toEqual([]);
  });

  it('a run of an application leaves no lease behind, also when it fails midway', async () => {
    @Injectable()
    class Orders {
      constructor(@Inject('POOL') readonly pool: Pool) {}

      async report(): Promise<void> {
        await this.pool.query('select 1');
        throw new Error('assertion failed midway');
      }
    }
    @Module({ imports: [vault()], providers: [Orders, pool('orders')] })
    class AppModule {}

    const run = async () => {
      const app = await apps.start({ imports: [AppModule] });
      try {
        await app.get(CredentialsService).get('database/creds/second');
        await app.get(Orders).report();
      } finally {
        await app.close();
      }
    };
    await expect(run()).rejects.toThrow('assertion failed midway');
    expect(revocations()).toBe(1);
    await gone();
    for (const path of [ORDERS, 'database/creds/second'])
      await expect.poll(() => leasesBelow(bao, `${path}/`)).toEqual([]);
  });

  it('earlier hooks of the application still have their user; then the streams complete', async () => {
    const order: string[] = [];
    @Injectable()
    class Consumer {
      constructor(@Inject(getCredentialsToken('orders')) credentials$: Observable<DatabaseCredentials>) {
        credentials$.subscribe({ complete: () => order.push('completed') });
      }

      async onModuleDestroy() {
        order.push(`destroy: ${(await usersInDatabase(postgres)).length} user`);
      }

      async beforeApplicationShutdown() {
        order.push(`before: ${(await usersInDatabase(postgres)).length} user`);
      }
    }
    const app = await apps.start({ imports: [vault()], providers: [Consumer] });
    await app.close();
    expect(order).toEqual(['destroy: 1 user', 'before: 1 user', 'completed']);
  });
});
