import {
  Controller,
  Get,
  Inject,
  Injectable,
  Module,
  Optional,
  Scope,
  type DynamicModule,
  type ModuleMetadata,
  type Type,
} from '@nestjs/common';
import { ContextIdFactory, LazyModuleLoader, ModuleRef } from '@nestjs/core';
import type { TestingModule, TestingModuleBuilder } from '@nestjs/testing';
import { filter, firstValueFrom, isObservable, of, type Observable } from 'rxjs';
import {
  appRole,
  CredentialsService,
  getCredentialsToken,
  getSecretToken,
  getVaultToken,
  InjectCredentials,
  InjectSecret,
  InjectVault,
  OnRotation,
  Secret,
  VaultClient,
  VaultError,
  VaultModule,
  type Credentials,
  type DatabaseCredentials,
  type SchemaOutput,
  type VaultModuleOptions,
} from 'nestjs-vault';
import { createRotatingPgPool, type RotatingPgPool } from 'nestjs-vault/pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import { Applications } from '../support/applications.js';
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
import { isAlive, quiet, tokensSeen } from '../support/vault-state.js';

/** The values that each test writes to `secret/app`. */
const APP = { apiKey: 'canary-api-key', place: 'here' };

describeReal('decorators', () => {
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
        ...['orders', 'reports', 'late'].map((name) => ({ name, defaultTtl: '60s', maxTtl: '120s' })),
        { name: 'rotating', defaultTtl: '2s', maxTtl: '3s' },
      ],
    });
    await bao.api('POST', 'secret/data/app', { data: { ...APP, place: 'before' } });
    await bao.api('POST', 'secret/data/app', { data: APP });
    await bao.api('POST', 'secret/data/other', { data: { name: 'other' } });
    apps.guard(bao.rootToken, role.secretId, APP.apiKey);
  });

  afterAll(async () => {
    await proxy?.stop();
    await Promise.all([bao?.stop(), postgres?.stop()]);
  });

  beforeEach(() => proxy.clear());

  afterEach(async () => {
    proxy.fault = undefined;
    apps.guardSeen(proxy);
    await apps.finish();
  });

  const options = (more: Partial<VaultModuleOptions> = {}): VaultModuleOptions => ({
    address: proxy.address,
    auth: appRole({ roleId: role.roleId, secretId: role.secretId }),
    ...more,
  });
  const start = (
    metadata: ModuleMetadata,
    customise?: (builder: TestingModuleBuilder) => TestingModuleBuilder,
  ): Promise<TestingModule> =>
    apps.start(
      { ...metadata, imports: [VaultModule.forRoot(options()), ...(metadata.imports ?? [])] },
      customise,
    );
  /** Checks that PostgreSQL knows the user of the credentials. */
  const expectWorking = async (credentials: DatabaseCredentials) => {
    apps.guard(credentials.password.reveal());
    expect(await usersInDatabase(postgres)).toContain(credentials.username.reveal());
  };
  /** Requests for secrets, without the login's. */
  const reads = () => proxy.requests.filter((line) => !/\/auth\//.test(line));

  it('inject in constructor parameters and in properties; one read for equal requests', async () => {
    @Injectable()
    class ByConstructor {
      constructor(
        @InjectCredentials('orders') readonly orders$: Observable<DatabaseCredentials>,
        @InjectSecret('app') readonly app: Secret<typeof APP>,
        @InjectVault() readonly vault: VaultClient,
      ) {}
    }
    @Injectable()
    class ByProperty {
      @InjectCredentials('orders') readonly orders$!: Observable<DatabaseCredentials>;
      @InjectCredentials({ path: 'database/creds/orders' }) readonly raw$!: Observable<
        Credentials<{ username: string }>
      >;
      @InjectSecret('app') readonly app!: Secret<typeof APP>;
      @InjectVault() readonly vault!: VaultClient;
    }
    const app = await start({ providers: [ByConstructor, ByProperty] });
    const [byConstructor, byProperty] = [app.get(ByConstructor), app.get(ByProperty)];
    expect(reads().sort()).toEqual(['GET /v1/database/creds/orders', 'GET /v1/secret/data/app']);

    const credentials = await firstValueFrom(byConstructor.orders$);
    await expectWorking(credentials);
    expect((await firstValueFrom(byProperty.orders$)).username.reveal()).toBe(credentials.username.reveal());
    const raw = await firstValueFrom(byProperty.raw$);
    expect(raw.data.reveal().username).toBe(credentials.username.reveal());
    expect(byConstructor.app.reveal()).toEqual(APP);
    expect(byProperty.app.reveal()).toEqual(APP);
    expect(byConstructor.vault).toBeInstanceOf(VaultClient);
    expect(byProperty.vault).toBe(byConstructor.vault);
    expect(reads()).toHaveLength(2);
    expect(JSON.stringify([byConstructor.app, credentials])).not.toContain(APP.apiKey);
  });

  it('a class that is declared after VaultModule.forRoot was called', async () => {
    const vault = VaultModule.forRoot(options());
    // Like a file that is evaluated later: the decorator runs only now, with a new token.
    @Injectable()
    class DeclaredLater {
      constructor(@InjectSecret('app', { key: 'place' }) readonly place: Secret) {}
    }
    const app = await apps.start({ imports: [vault], providers: [DeclaredLater] });
    expect(app.get(DeclaredLater).place.reveal()).toBe('here');
  });

  it('in feature modules, controllers and modules themselves', async () => {
    @Injectable()
    class Deep {
      constructor(@InjectSecret('app', { key: 'apiKey' }) readonly key: Secret) {}
    }
    @Controller('deep')
    class DeepController {
      constructor(@InjectCredentials('reports') readonly reports$: Observable<DatabaseCredentials>) {}

      @Get()
      get() {}
    }
    @Module({ providers: [Deep], controllers: [DeepController] })
    class DeepModule {
      constructor(@InjectSecret('other', { key: 'name' }) readonly name: Secret) {}
    }
    @Module({ imports: [DeepModule] })
    class FeatureModule {}
    const app = await start({ imports: [FeatureModule] });
    expect(app.get(Deep, { strict: false }).key.reveal()).toBe(APP.apiKey);
    expect(app.get(DeepModule, { strict: false }).name.reveal()).toBe('other');
    // Issued during the start, without a subscriber.
    expect(reads().sort()).toEqual([
      'GET /v1/database/creds/reports',
      'GET /v1/secret/data/app',
      'GET /v1/secret/data/other',
    ]);
    await expectWorking(await firstValueFrom(app.get(DeepController, { strict: false }).reports$));
  });

  it('forFeature provides tokens that no decorator names', async () => {
    @Injectable()
    class Plain {
      constructor(
        @Inject('VAULT_CREDENTIALS') readonly credentials$: Observable<DatabaseCredentials>,
        @Inject('VAULT_SECRET') readonly secret: Secret,
      ) {}
    }
    @Module({
      imports: [VaultModule.forFeature({ credentials: ['reports'], secrets: [['app', { key: 'place' }]] })],
      providers: [
        Plain,
        { provide: 'VAULT_CREDENTIALS', useExisting: getCredentialsToken('reports') },
        { provide: 'VAULT_SECRET', useExisting: getSecretToken('app', { key: 'place' }) },
      ],
    })
    class FeatureModule {}
    const app = await start({ imports: [FeatureModule] });
    const plain = app.get(Plain, { strict: false });
    expect(plain.secret.reveal()).toBe('here');
    await expectWorking(await firstValueFrom(plain.credentials$));
  });

  it('forFeature: its secrets are read at the start, which fails if one is missing', async () => {
    await start({ imports: [VaultModule.forFeature({ credentials: ['reports'], secrets: ['app'] })] });
    expect(reads().sort()).toEqual(['GET /v1/database/creds/reports', 'GET /v1/secret/data/app']);

    const error = await apps.startError({
      imports: [
        VaultModule.forRoot(options()),
        VaultModule.forFeature({ credentials: ['no-such-role'], secrets: ['no-such-secret'] }),
      ],
    });
    expect(error).toMatchObject({ code: 'VAULT_STARTUP_FAILED' });
    expect(error.message).toContain('no-such-role');
    expect(error.message).toContain('no-such-secret');
  });

  it('a lazily loaded module with forFeature, whose decorators ran after the start', async () => {
    const app = await start({});
    const loader = app.get(LazyModuleLoader, { strict: false });
    proxy.clear();

    const lazy = () => {
      @Injectable()
      class LazyHost {
        constructor(
          @InjectCredentials('late') readonly late$: Observable<DatabaseCredentials>,
          @InjectSecret('other') readonly other: Secret<{ name: string }>,
        ) {}
      }
      @Module({
        imports: [VaultModule.forFeature({ credentials: ['late'], secrets: ['other'] })],
        providers: [LazyHost],
      })
      class LazyModule {}
      return { LazyModule, LazyHost };
    };
    const { LazyModule, LazyHost } = lazy();
    const module = await loader.load(() => LazyModule);
    const host = module.get(LazyHost);
    expect(host.other.reveal()).toEqual({ name: 'other' });
    expect(reads().sort()).toEqual(['GET /v1/database/creds/late', 'GET /v1/secret/data/other']);
    await expectWorking(await firstValueFrom(host.late$));

    @Module({ imports: [VaultModule.forFeature({ credentials: ['no-such-role'], secrets: ['gone'] })] })
    class BrokenModule {}
    const error = await loader.load(() => BrokenModule).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'VAULT_STARTUP_FAILED' });
    // The application goes on: only that module failed to load.
    expect(app.get(CredentialsService).current('database/creds/late')).toBeDefined();
    expect(proxy.count(/revoke-self/)).toBe(0);
  });

  it('request-scoped and transient hosts: read once, at the start', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      constructor(
        @InjectSecret('app', { key: 'place' }) readonly place: Secret,
        @InjectCredentials('orders') readonly orders$: Observable<DatabaseCredentials>,
      ) {}
    }
    @Injectable({ scope: Scope.TRANSIENT })
    class Transient {
      @InjectSecret('other') readonly other!: Secret<{ name: string }>;
    }
    const app = await start({ providers: [PerRequest, Transient] });
    expect(reads()).toHaveLength(3);
    const hosts = await Promise.all([1, 2, 3].map(() => app.resolve(PerRequest, ContextIdFactory.create())));
    expect(new Set(hosts).size).toBe(3);
    for (const host of hosts) {
      expect(host.place.reveal()).toBe('here');
      expect(isObservable(host.orders$)).toBe(true);
    }
    const users = await Promise.all(
      hosts.map(async ({ orders$ }) => (await firstValueFrom(orders$)).username),
    );
    expect(new Set(users.map((user) => user.reveal())).size).toBe(1);
    expect((await app.resolve(Transient)).other.reveal()).toEqual({ name: 'other' });
    expect((await app.resolve(Transient)).other.reveal()).toEqual({ name: 'other' });
    expect(reads()).toHaveLength(3);
  });

  it('subclasses inherit the injections of the base class, and add their own', async () => {
    abstract class Base {
      @InjectSecret('app', { key: 'place' }) readonly place!: Secret;

      constructor(@InjectCredentials('orders') readonly orders$: Observable<DatabaseCredentials>) {}
    }
    @Injectable()
    class Plain extends Base {}
    @Injectable()
    class Extended extends Base {
      @InjectSecret('other', { key: 'name' }) readonly name!: Secret;
    }
    @Injectable()
    class Replaced extends Base {
      constructor(@InjectCredentials('reports') reports$: Observable<DatabaseCredentials>) {
        super(reports$);
      }
    }
    const app = await start({ providers: [Plain, Extended, Replaced] });
    for (const type of [Plain, Extended, Replaced]) expect(app.get<Base>(type).place.reveal()).toBe('here');
    expect(app.get(Extended).name.reveal()).toBe('other');
    const user = async (type: Type<Base>) =>
      (await firstValueFrom(app.get<Base>(type).orders$)).username.reveal();
    expect(await user(Plain)).toMatch(/^v-.*orders/);
    expect(await user(Extended)).toBe(await user(Plain));
    expect(await user(Replaced)).toMatch(/^v-.*reports/);
  });

  it("Nest's own @Inject of our tokens is read ahead, in parallel, before the class is built", async () => {
    const builtAfter: string[][] = [];
    abstract class Base {
      @Inject(getSecretToken('app', { key: 'place' })) readonly place!: Secret;
    }
    @Injectable()
    class Host extends Base {
      // Nest itself would resolve this one after those of the constructor.
      @Inject(getSecretToken('other', { key: 'name' })) readonly name!: Secret;

      constructor(
        @Inject(getCredentialsToken('orders')) readonly orders$: Observable<DatabaseCredentials>,
        @Inject(getSecretToken('app', { key: 'apiKey' })) readonly key: Secret,
      ) {
        super();
        builtAfter.push(reads().sort());
      }
    }
    const all = ['GET /v1/database/creds/orders', 'GET /v1/secret/data/app', 'GET /v1/secret/data/other'];
    // No read is answered before all have been sent.
    let goOn: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => (goOn = resolve));
    proxy.fault = async () => {
      if (reads().length === all.length) goOn();
      if (reads().length > 0) await asked;
      return false;
    };
    const app = await start({ providers: [Host] });
    proxy.fault = undefined;
    expect(builtAfter).toEqual([all]);
    const host = app.get(Host);
    expect([host.key.reveal(), host.place.reveal(), host.name.reveal()]).toEqual([
      APP.apiKey,
      'here',
      'other',
    ]);
    await expectWorking(await firstValueFrom(host.orders$));
    expect(reads()).toHaveLength(all.length);
  });

  it("Nest's own @Inject: one error names all missing secrets, those of base classes included", async () => {
    abstract class Base {
      @Inject(getSecretToken('gone/for-the-base')) readonly base!: Secret;
    }
    @Injectable()
    class Host extends Base {
      constructor(
        @Inject(getSecretToken('app', { key: 'no-such-key' })) readonly key: Secret,
        @Inject(getCredentialsToken('no-such-role')) readonly role$: Observable<DatabaseCredentials>,
      ) {
        super();
      }
    }
    const error = await apps.startError({ imports: [VaultModule.forRoot(options())], providers: [Host] });
    expect(error).toMatchObject({ code: 'VAULT_STARTUP_FAILED' });
    for (const name of ['gone/for-the-base', 'no-such-key', 'no-such-role'])
      expect(error.message).toContain(name);
  });

  it.each([
    ['ours', InjectCredentials],
    ["Nest's own", (role: string) => Inject(getCredentialsToken(role))],
  ])('a constructor that overrides another one injects only its own: %s', async (_whose, inject) => {
    @Injectable()
    class Base {
      constructor(@inject('orders') readonly credentials$: Observable<DatabaseCredentials>) {}
    }
    @Injectable()
    class Replaced extends Base {
      constructor(@inject('reports') credentials$: Observable<DatabaseCredentials>) {
        super(credentials$);
      }
    }
    const app = await start({ providers: [Replaced] });
    expect(reads()).toEqual(['GET /v1/database/creds/reports']);
    const { username } = await firstValueFrom(app.get(Replaced).credentials$);
    expect(username.reveal()).toMatch(/^v-.*reports/);
    expect(reads()).toHaveLength(1);
  });

  it('ModuleRef.create builds a host that is no provider', async () => {
    @Injectable()
    class Loose {
      @InjectSecret('other', { key: 'name' }) readonly name!: Secret;

      constructor(@InjectCredentials('orders') readonly orders$: Observable<DatabaseCredentials>) {}
    }
    @Injectable()
    class Factory {
      constructor(readonly modules: ModuleRef) {}
    }
    const app = await start({ providers: [Factory] });
    expect(reads()).toEqual([]);
    const loose = await app.get(Factory).modules.create(Loose);
    expect(loose.name.reveal()).toBe('other');
    await expectWorking(await firstValueFrom(loose.orders$));
  });

  it('factories inject by token', async () => {
    const app = await start({
      providers: [
        {
          provide: 'CONNECTION',
          inject: [getCredentialsToken('orders'), getSecretToken('app', { key: 'apiKey' }), getVaultToken()],
          useFactory: async (orders$: Observable<DatabaseCredentials>, key: Secret, vault: VaultClient) => ({
            credentials: await firstValueFrom(orders$),
            key,
            vault,
          }),
        },
      ],
    });
    const made = app.get<{ credentials: DatabaseCredentials; key: Secret; vault: VaultClient }>('CONNECTION');
    await expectWorking(made.credentials);
    expect(made.key.reveal()).toBe(APP.apiKey);
    expect(made.vault).toBeInstanceOf(VaultClient);
    expect(reads()).toHaveLength(2);
  });

  it('a key, a version, and a mount of another KV version', async () => {
    @Injectable()
    class Host {
      @InjectSecret('app', { key: 'place', version: 1 }) readonly first!: Secret;
      @InjectSecret('app', { key: 'place', version: 2 }) readonly second!: Secret;
      @InjectSecret('app', { version: 1 }) readonly object!: Secret<typeof APP>;
    }
    const app = await start({ providers: [Host] });
    const host = app.get(Host);
    expect([host.first.reveal(), host.second.reveal()]).toEqual(['before', 'here']);
    expect(host.object.reveal().place).toBe('before');

    await bao.api('POST', 'kv1/old', { name: 'version one' });
    @Injectable()
    class OldHost {
      @InjectSecret('old', { mount: 'kv1', key: 'name' }) readonly name!: Secret;
    }
    const old = await apps.start({
      imports: [VaultModule.forRoot(options({ kvVersion: 1 }))],
      providers: [OldHost],
    });
    expect(old.get(OldHost).name.reveal()).toBe('version one');
  });

  it('the error of a missing key names the existing keys; that of a missing secret names its path', async () => {
    const failure = (decorate: PropertyDecorator) => {
      @Injectable()
      class Host {
        readonly value!: Secret;
      }
      decorate(Host.prototype, 'value');
      return apps.startError({ imports: [VaultModule.forRoot(options())], providers: [Host] });
    };
    const key = await failure(InjectSecret('app', { key: 'apikey' }) as PropertyDecorator);
    expect(key).toBeInstanceOf(VaultError);
    expect(key).toMatchObject({ code: 'VAULT_SECRET_KEY_MISSING', path: 'app' });
    expect(key.message).toContain('apiKey, place');

    const secret = await failure(InjectSecret('no/such') as PropertyDecorator);
    expect(secret).toMatchObject({ code: 'VAULT_SECRET_NOT_FOUND' });
    expect(secret.message).toContain('no/such');

    const version = await failure(InjectSecret('app', { version: 7 }) as PropertyDecorator);
    expect(version).toMatchObject({ code: 'VAULT_SECRET_NOT_FOUND' });
    expect(version.message).toContain('version 7');

    expect(() => InjectSecret('../sys/mounts')).toThrow(
      expect.objectContaining({ code: 'VAULT_PATH_INVALID' }),
    );
    expect(() => InjectCredentials('a/b')).toThrow(expect.objectContaining({ code: 'VAULT_PATH_INVALID' }));
  });

  it('a schema, a live secret, and methods that are called when the pool uses the next user', async () => {
    const schema = z.object({ name: z.string(), port: z.coerce.number() });
    await bao.api('POST', 'secret/data/live', { data: { name: 'first', port: '1' } });
    const pools: RotatingPgPool[] = [];
    @Injectable()
    class Host {
      @InjectSecret('live', { schema }) readonly start!: Secret<SchemaOutput<typeof schema>>;
      @InjectSecret('live', { schema, watch: { every: 1_000 } }) readonly live$!: Observable<
        Secret<SchemaOutput<typeof schema>>
      >;
      @Optional() @InjectSecret('never-written') readonly absent?: Secret;
      readonly users: [issued: string, used: unknown][] = [];
      readonly names: string[] = [];

      constructor(@InjectCredentials('rotating') readonly rotating$: Observable<DatabaseCredentials>) {}

      @OnRotation('rotating')
      async rotated({ username, password }: DatabaseCredentials) {
        apps.guard(password.reveal());
        const { rows } = await (pools[0] as RotatingPgPool).query<{ user: string }>(
          'SELECT current_user AS user',
        );
        this.users.push([username.reveal(), rows[0]?.user]);
      }

      @OnRotation({ secret: 'live' }, { key: 'name', watch: { every: 1_000 } })
      renamed(name: Secret) {
        this.names.push(name.reveal());
      }
    }
    const app = await start({ providers: [Host] });
    const host = app.get(Host);
    expect(reads().sort()).toEqual([
      'GET /v1/database/creds/rotating',
      'GET /v1/secret/data/live',
      'GET /v1/secret/data/never-written',
    ]);
    expect(host.absent).toBeUndefined();
    expect(host.start.reveal()).toEqual({ name: 'first', port: 1 });
    const { port, database } = postgres;
    pools.push(await createRotatingPgPool(host.rotating$, { host: postgres.host, port, database, max: 1 }));
    await pools[0]?.query('SELECT 1');
    await bao.api('POST', 'secret/data/live', { data: { name: 'second', port: 'none' } });
    await expect
      .poll(() => apps.log, { timeout: 10_000 })
      .toContain('secret/live: the new value is not used');
    await bao.api('POST', 'secret/data/live', { data: { name: 'third', port: '3' } });
    const live = await firstValueFrom(host.live$.pipe(filter((secret) => secret.reveal().port === 3)));
    expect(live.reveal()).toEqual({ name: 'third', port: 3 });
    await expect.poll(() => host.users.length, { timeout: 10_000 }).toBeGreaterThan(1);
    await expect.poll(() => host.names).toEqual(['second', 'third']);
    for (const [issued, used] of host.users) expect(used).toBe(issued);
    expect(new Set(host.users.map(([issued]) => issued)).size).toBe(host.users.length);
  });

  it('all secrets that fail are named in one error, and nothing is left after the failed start', async () => {
    @Injectable()
    class Host {
      @InjectSecret('app', { key: 'apiKey' }) readonly fine!: Secret;
      @InjectCredentials('orders') readonly fineToo!: Observable<DatabaseCredentials>;
      @InjectSecret('nothing-here') readonly missing!: Secret;
      @InjectSecret('app', { key: 'nope' }) readonly noKey!: Secret;
      @InjectCredentials('no-such-role') readonly noRole!: Observable<DatabaseCredentials>;
      @InjectCredentials({ path: 'sys/mounts' }) readonly denied!: Observable<Credentials>;
    }
    const error = (await apps.startError({
      imports: [VaultModule.forRoot(options())],
      providers: [Host],
    })) as VaultError;
    expect(error).toMatchObject({ name: 'VaultError', code: 'VAULT_STARTUP_FAILED' });
    expect(error.errors?.map(({ code }) => code).sort()).toEqual([
      'VAULT_PERMISSION_DENIED',
      'VAULT_ROLE_NOT_FOUND',
      'VAULT_SECRET_KEY_MISSING',
      'VAULT_SECRET_NOT_FOUND',
    ]);
    for (const name of ['nothing-here', 'nope', 'no-such-role', 'sys/mounts'])
      expect(error.message).toContain(name);

    expect(proxy.count(/revoke-self$/)).toBe(1);
    const tokens = tokensSeen(proxy);
    expect(tokens).toHaveLength(1);
    expect(await isAlive(bao, tokens[0] as string)).toBe(false);
    await expect.poll(() => usersInDatabase(postgres)).toEqual([]);
    await quiet(proxy, 700);
  });

  it('overriding a token: the server sees no read of it', async () => {
    @Injectable()
    class Host {
      @InjectSecret('app', { key: 'apiKey' }) readonly key!: Secret;
      @InjectSecret('other') readonly other!: Secret<{ name: string }>;
      @InjectVault() readonly vault!: VaultClient;

      constructor(@InjectCredentials('orders') readonly orders$: Observable<DatabaseCredentials>) {}
    }
    const fake = { username: new Secret('ci'), password: new Secret('ci') };
    const vault = { read: () => 'nothing' };
    const app = await start({ providers: [Host] }, (builder) =>
      builder
        .overrideProvider(getCredentialsToken('orders'))
        .useValue(of(fake))
        .overrideProvider(getSecretToken('app', { key: 'apiKey' }))
        .useFactory({ factory: () => new Secret('ci-key') })
        .overrideProvider(getVaultToken())
        .useValue(vault),
    );
    const host = app.get(Host);
    expect(await firstValueFrom(host.orders$)).toBe(fake);
    expect(host.key.reveal()).toBe('ci-key');
    expect(host.vault).toBe(vault);
    expect(app.get(VaultClient)).toBe(vault);
    expect(host.other.reveal()).toEqual({ name: 'other' });
    expect(reads()).toEqual(['GET /v1/secret/data/other']);
  });

  it('overriding a token that forFeature names: no read either', async () => {
    await start(
      { imports: [VaultModule.forFeature({ credentials: ['orders'], secrets: ['app', 'other'] })] },
      (builder) =>
        builder
          .overrideProvider(getCredentialsToken('orders'))
          .useValue(of())
          .overrideProvider(getSecretToken('app'))
          .useValue(new Secret({})),
    );
    expect(reads()).toEqual(['GET /v1/secret/data/other']);
  });

  it('deferred: forFeature reads nothing until the first use', async () => {
    await apps.start({
      imports: [
        VaultModule.forRoot(options({ startup: { login: 'deferred' } })),
        VaultModule.forFeature({ credentials: ['orders'], secrets: ['app'] }),
      ],
    });
    expect(proxy.requests).toEqual([]);
  });

  it('overriding the token of a path that does not exist lets the application start', async () => {
    const app = await start(
      {
        providers: [
          {
            provide: 'KEY',
            inject: [getSecretToken('only/in/production')],
            useFactory: (secret: Secret) => secret,
          },
        ],
      },
      (builder) => builder.overrideProvider(getSecretToken('only/in/production')).useValue(new Secret('ci')),
    );
    expect(app.get<Secret>('KEY').reveal()).toBe('ci');
    expect(reads()).toEqual([]);
  });

  it('overriding the host class causes no read either, nor does overriding its module', async () => {
    @Injectable()
    class Host {
      constructor(
        @InjectSecret('app') readonly app: Secret,
        @InjectCredentials('orders') readonly orders$: Observable<DatabaseCredentials>,
      ) {}
    }
    class Double {}
    @Module({ providers: [Host], exports: [Host] })
    class HostModule {}
    @Module({})
    class EmptyModule {}

    await start({ providers: [Host] }, (builder) => builder.overrideProvider(Host).useValue({}));
    await start({ providers: [Host] }, (builder) => builder.overrideProvider(Host).useClass(Double));
    await start({ imports: [HostModule] }, (builder) =>
      builder.overrideModule(HostModule).useModule(EmptyModule),
    );
    expect(reads()).toEqual([]);
  });

  it('a decorated class that is not part of the application causes no read', async () => {
    @Injectable()
    class Elsewhere {
      constructor(
        @InjectSecret('only/elsewhere') readonly app: Secret,
        @InjectCredentials('orders') readonly orders$: Observable<DatabaseCredentials>,
      ) {}
    }
    expect(Elsewhere).toBeDefined();
    await start({});
    expect(proxy.requests).toEqual(['POST /v1/auth/approle/login']);
  });

  it('two applications in one process do not see each other', async () => {
    @Injectable()
    class One {
      constructor(
        @InjectSecret('app') readonly app: Secret,
        @InjectCredentials('orders') readonly orders$: Observable<DatabaseCredentials>,
      ) {}
    }
    @Injectable()
    class Two {
      constructor(
        @InjectSecret('other') readonly other: Secret,
        @InjectCredentials('orders') readonly orders$: Observable<DatabaseCredentials>,
      ) {}
    }
    const second = await HttpProxy.start(bao.address);
    try {
      const [one, two] = await Promise.all([
        start({ providers: [One] }),
        apps.start({
          imports: [VaultModule.forRoot(options({ address: second.address }))],
          providers: [Two],
        }),
      ]);
      const user = async (host: One | Two) => (await firstValueFrom(host.orders$)).username.reveal();
      const users = [await user(one.get(One)), await user(two.get(Two))];
      expect(users[0]).not.toBe(users[1]);
      expect(reads().sort()).toEqual(['GET /v1/database/creds/orders', 'GET /v1/secret/data/app']);
      expect(second.requests.filter((line) => !/\/auth\//.test(line)).sort()).toEqual([
        'GET /v1/database/creds/orders',
        'GET /v1/secret/data/other',
      ]);
      // One application ends; the other one goes on.
      await one.close();
      expect(second.count(/revoke-self/)).toBe(0);
      expect(two.get(CredentialsService).current('database/creds/orders')).toBeDefined();
      await expect.poll(() => usersInDatabase(postgres)).toEqual([users[1]]);
      apps.guardSeen(second);
      await two.close();
    } finally {
      await second.stop();
    }
  });

  it('a dynamic module that several modules import is one connection', async () => {
    const vault: DynamicModule = VaultModule.forRoot(options());
    @Injectable()
    class A {
      constructor(@InjectSecret('app') readonly app: Secret) {}
    }
    @Module({ imports: [vault], providers: [A] })
    class ModuleA {}
    @Module({ imports: [vault, ModuleA] })
    class ModuleB {}
    await apps.start({ imports: [vault, ModuleB] });
    expect(proxy.count(/login/)).toBe(1);
    expect(reads()).toEqual(['GET /v1/secret/data/app']);
  });
});
