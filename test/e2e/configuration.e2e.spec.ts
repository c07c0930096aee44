import { inspect } from 'node:util';
import { Inject, Injectable, Module, type ModuleMetadata, type OnModuleInit } from '@nestjs/common';
import type { TestingModule } from '@nestjs/testing';
import { LazyModuleLoader } from '@nestjs/core';
import { ConfigModule, ConfigService, getConfigToken, registerAs, type ConfigType } from '@nestjs/config';
import { type } from 'arktype';
import { firstValueFrom, type Observable } from 'rxjs';
import {
  appRole,
  CredentialsService,
  InjectCredentials,
  InjectSecret,
  token,
  vaultConfig,
  VaultModule,
  VAULT_MODULE_OPTIONS,
  type DatabaseCredentials,
  type Secret,
  type VaultError,
  type VaultOptions,
} from 'nestjs-vault';
import { SimulatedVault, VaultTestingModule, VirtualClock } from 'nestjs-vault/testing';
import { afterEach, beforeEach, describe, expect, expectTypeOf, it, vi } from 'vitest';
import * as v from 'valibot';
import { z } from 'zod';
import { Applications } from '../support/applications.js';

const API_KEY = 'canary-api-key';

/** A simulated server with the secrets of these tests, and the options of a connection to it. */
class World {
  readonly clock = new VirtualClock();
  readonly server = new SimulatedVault({ clock: this.clock });
  readonly vault: VaultOptions;

  constructor(apiKey = API_KEY) {
    const { server } = this;
    server.databaseRole('orders', { defaultTtl: '1h', maxTtl: '4h' });
    server.kv().put('payments', { apiKey, url: 'https://payments' });
    server.kv().put('mail', { password: 'canary-mail-password', port: 25 });
    server.kv().put('flags', { beta: 'on' });
    const { roleId, secretId } = server.appRole('app', { tokenTtl: '2h', tokenMaxTtl: '24h' });
    // The secret_id of each process is valid for all logins of these tests.
    this.vault = { address: 'https://vault.internal:8200', auth: appRole({ roleId, secretId: secretId() }) };
  }

  get testing() {
    return VaultTestingModule.forRoot({ vault: this.server });
  }

  requests(): string[] {
    return this.server.history.map(({ method, path }) => `${method} ${path.replace('/v1/', '')}`);
  }

  get logins(): number {
    return this.requests().filter((line) => line.endsWith('login')).length;
  }

  get reads(): string[] {
    return this.requests().filter((line) => !line.includes('auth/'));
  }

  /** Tokens of logins that are valid now. */
  get tokens(): number {
    return this.server.tokenCount - 1;
  }
}

const apps = new Applications();
let world: World;

beforeEach(() => {
  world = new World();
  apps.guard(API_KEY, 'canary-mail-password');
});
afterEach(() => apps.finish());

const start = (
  imports: NonNullable<ModuleMetadata['imports']>,
  providers: ModuleMetadata['providers'] = [],
) => apps.start({ imports: [world.testing, ...imports], providers });
const config = (...load: (() => Promise<object>)[]) =>
  ConfigModule.forRoot({ isGlobal: true, ignoreEnvFile: true, load });
const values = {
  apiKey: { path: 'payments', key: 'apiKey' },
  url: { path: 'payments', key: 'url', plain: true },
} as const;

describe('the values', () => {
  it('flat: under their names, a Secret or a plain text as declared', async () => {
    const { vault } = world;
    const app = await start([config(vaultConfig({ vault, values })), VaultModule.forRoot(vault)]);
    const service = app.get(ConfigService);
    expect(service.get<Secret>('apiKey')?.reveal()).toBe(API_KEY);
    expect(service.get('url')).toBe('https://payments');
    expect(world.logins).toBe(1);
    expect(world.reads).toEqual(['GET secret/data/payments']);
  });

  it('registerAs: under one name, and by its KEY', async () => {
    const { vault } = world;
    const payments = registerAs('payments', vaultConfig({ vault, values }));
    @Injectable()
    class Host {
      constructor(
        @Inject(payments.KEY) readonly settings: ConfigType<typeof payments>,
        readonly service: ConfigService,
      ) {}
    }
    const app = await start([config(payments), VaultModule.forRoot(vault)], [Host]);
    const { settings, service } = app.get(Host);
    expect(settings.apiKey.reveal()).toBe(API_KEY);
    expect(settings.url).toBe('https://payments');
    expect(service.get('payments.url')).toBe('https://payments');
    expect(world.reads).toEqual(['GET secret/data/payments']);
  });
});

describe('one login', () => {
  const load = () => vaultConfig({ vault: world.vault, values });
  it.each<[string, () => NonNullable<ModuleMetadata['imports']>]>([
    ['forRoot, after the configuration', () => [config(load()), VaultModule.forRoot(world.vault)]],
    ['forRoot, before the configuration', () => [VaultModule.forRoot(world.vault), config(load())]],
    [
      'forRoot with other parameters in the same object',
      () => {
        const vault = { ...world.vault, isGlobal: true, name: 'second' };
        return [config(vaultConfig({ vault, values })), VaultModule.forRoot(vault)];
      },
    ],
    [
      'forRootAsync, before',
      () => [VaultModule.forRootAsync({ useFactory: () => world.vault }), config(load())],
    ],
    [
      'forRootAsync, after',
      () => [config(load()), VaultModule.forRootAsync({ useFactory: () => world.vault })],
    ],
    [
      'forRootAsync, whose factory waits for the configuration',
      () => [
        config(load()),
        VaultModule.forRootAsync({
          inject: [ConfigService],
          useFactory: (service: ConfigService) => {
            expect(service.get('url')).toBe('https://payments');
            return world.vault;
          },
        }),
      ],
    ],
    [
      'one function for both',
      () => {
        const vault = () => ({ ...world.vault });
        return [config(vaultConfig({ vault, values })), VaultModule.forRootAsync({ useFactory: vault })];
      },
    ],
    [
      'one function for both, the module first',
      () => {
        const vault = () =>
          Promise.resolve({ ...world.vault, headers: { 'x-gateway': 'canary-of-the-gateway' } });
        return [VaultModule.forRootAsync({ useFactory: vault }), config(vaultConfig({ vault, values }))];
      },
    ],
    [
      'options with a secret header, which are hidden from printers',
      () => {
        const vault = { ...world.vault, headers: { 'x-gateway': 'canary-of-the-gateway' } };
        return [
          config(vaultConfig({ vault, values })),
          VaultModule.forRootAsync({ inject: [ConfigService], useFactory: () => vault }),
        ];
      },
    ],
    [
      'a deferred login',
      () => {
        const vault: VaultOptions = { ...world.vault, startup: { login: 'deferred' } };
        return [config(vaultConfig({ vault, values })), VaultModule.forRoot(vault)];
      },
    ],
    [
      'three calls of vaultConfig',
      () => [
        config(load(), registerAs('payments', load())),
        ConfigModule.forFeature(registerAs('feature', load())),
        VaultModule.forRoot(world.vault),
      ],
    ],
  ])('%s; it ends with the application', async (_name, imports) => {
    const app = await start(imports());
    expect([world.logins, world.tokens, world.reads]).toEqual([1, 1, ['GET secret/data/payments']]);
    await app.close();
    expect(world.tokens).toBe(0);
  });

  it('without a VaultModule, the token ends right after the read', async () => {
    await start([config(load(), registerAs('payments', load()))]);
    expect([world.logins, world.tokens, world.reads]).toEqual([1, 0, ['GET secret/data/payments']]);
  });

  it.each([
    ['forRoot', () => VaultModule.forRoot({ ...world.vault })],
    [
      'forRootAsync',
      () => VaultModule.forRootAsync({ inject: [ConfigService], useFactory: () => ({ ...world.vault }) }),
    ],
    [
      'forRootAsync, its options before the configuration,',
      () => VaultModule.forRootAsync({ useFactory: () => ({ ...world.vault }) }),
    ],
  ])(
    '%s with other options has its own login; that of the configuration has ended',
    async (_name, module) => {
      const app = await start([config(load()), module()]);
      await expect.poll(() => world.tokens).toBe(1);
      expect(world.logins).toBe(2);
      await app.close();
      expect(world.tokens).toBe(0);
    },
  );

  it('two configurations with options of their own: their events and log lines have different names', async () => {
    const own = () => vaultConfig({ vault: { ...world.vault }, values });
    const app = await start([config(own(), own()), VaultModule.forRoot(world.vault)]);
    const events = app.get(CredentialsService).recentEvents;
    const names = events.filter(({ type }) => type === 'login').map(({ connection }) => connection);
    expect(names.toSorted()).toEqual(['configuration', 'configuration-2', 'default']);
  });

  it('two applications at the same time have one each, which ends with its own', async () => {
    const imports = [config(load()), VaultModule.forRoot(world.vault)];
    const [one, other] = await Promise.all([start(imports), start(imports)]);
    expect([world.logins, world.tokens]).toEqual([2, 2]);
    await one.close();
    expect(world.tokens).toBe(1);
    await other.close();
    expect(world.tokens).toBe(0);
  });

  it('a copy of the options of the application, in a test that overrides them', async () => {
    const { vault } = world;
    const app = await apps.start(
      { imports: [world.testing, config(load()), VaultModule.forRoot(vault)] },
      (builder) =>
        builder
          .overrideProvider(VAULT_MODULE_OPTIONS)
          .useValue({ ...vault, auth: token('root') } as VaultOptions),
    );
    expect(app.get(ConfigService).get('url')).toBe('https://payments');
    expect(world.logins).toBe(0);
  });

  it.each([
    ['a factory', { useFactory: { factory: () => ({}) } }],
    ['a class', { useClass: class {} }],
  ])(
    'not the options of a module that a test overrides with %s: it is told to give a value',
    async (_with, how) => {
      const starting = apps.start(
        { imports: [world.testing, config(load()), VaultModule.forRoot(world.vault)] },
        (builder) => {
          const override = builder.overrideProvider(VAULT_MODULE_OPTIONS);
          return 'useFactory' in how ? override.useFactory(how.useFactory) : override.useClass(how.useClass);
        },
      );
      await expect(starting).rejects.toMatchObject({
        code: 'VAULT_CONFIG_INVALID',
        hint: expect.stringContaining('useValue') as string,
      });
      expect(world.logins).toBe(0);
    },
  );

  it('a function that calls the one of vaultConfig has a login of its own, which ends', async () => {
    const { server } = world;
    const address = await server.listen();
    const vault = { ...world.vault, address };
    const app = await start([config(async () => ({ ...(await vaultConfig({ vault, values })()) }))]);
    expect(app.get(ConfigService).get('url')).toBe('https://payments');
    expect([world.logins, world.tokens]).toEqual([1, 0]);
    await server.close();
  });

  it('a provider made from the configuration reads nothing again', async () => {
    const payments = registerAs('payments', load());
    const app = await start([
      config(payments),
      ConfigModule.forFeature(payments),
      VaultModule.forRoot(world.vault),
    ]);
    expect(app.get<{ url: string }>(payments.KEY).url).toBe('https://payments');
    expect(world.reads).toEqual(['GET secret/data/payments']);
  });
});

describe('a module that is loaded lazily', () => {
  const feature = (name: string, path: string) => {
    const load = vaultConfig({ vault: world.vault, values: { value: { path, key: 'beta' } } });
    return ConfigModule.forFeature(registerAs(name, load));
  };

  it.each([
    ['over the connection of the application', 1, () => [VaultModule.forRoot(world.vault)]],
    ['with a login of its own, which ends', 0, () => []],
  ])(
    'reads its configuration %s; what is missing there ends nothing else',
    async (_name, tokens, modules) => {
      const app = await start([config(), ...modules()]);
      const loader = app.get(LazyModuleLoader);
      await expect(loader.load(() => feature('missing', 'nowhere') as never)).rejects.toMatchObject({
        code: 'VAULT_SECRET_NOT_FOUND',
      });
      // Nest 11.0 builds another ConfigService for it, whatever `load` gives.
      const lazy = await loader.load(() => feature('flags', 'flags') as never);
      expect(lazy.get<{ value: Secret }>(getConfigToken('flags')).value.reveal()).toBe('on');
      expect(world.tokens).toBe(tokens);
      expect(world.logins).toBe(tokens === 1 ? 1 : 2);
    },
  );
});

describe('a module that is loaded lazily and fails', () => {
  const missing = () =>
    ConfigModule.forFeature(
      registerAs(
        'missing',
        vaultConfig({ vault: { ...world.vault }, values: { a: { path: 'nowhere', key: 'a' } } }),
      ),
    );
  const wrong = () =>
    VaultModule.forRoot({
      ...world.vault,
      name: 'audit',
      auth: appRole({ roleId: 'none', secretId: 'none' }),
    });
  const credentials = (app: { get: (type: typeof CredentialsService) => CredentialsService }) =>
    app.get(CredentialsService).getDatabase('orders');

  it.each<[string, () => unknown]>([
    ['its VaultModule', wrong],
    ['its configuration', missing],
  ])('%s, in a running application: nothing else ends', async (_name, lazy) => {
    const app = await start([config(), VaultModule.forRoot(world.vault)]);
    await expect(app.get(LazyModuleLoader).load(() => lazy() as never)).rejects.toThrow();
    expect((await credentials(app)).username).toBeTruthy();
    expect(world.tokens).toBe(1);
  });

  it.each<[string, () => unknown]>([
    ['its VaultModule', wrong],
    ['its configuration', missing],
  ])('%s, in onModuleInit: nothing else ends', async (_name, lazy) => {
    @Injectable()
    class Host implements OnModuleInit {
      caught: unknown;
      constructor(private readonly loader: LazyModuleLoader) {}
      async onModuleInit() {
        await this.loader.load(() => lazy() as never).catch((error: unknown) => (this.caught = error));
      }
    }
    const app = await start([config(), VaultModule.forRoot(world.vault)], [Host]);
    expect(app.get(Host).caught).toBeInstanceOf(Error);
    expect((await credentials(app)).username).toBeTruthy();
    expect(world.tokens).toBe(1);
  });
});

it('a module that is loaded lazily gets the values of that time, with one request for each secret', async () => {
  const { vault, server, clock } = world;
  const app = await start([config(vaultConfig({ vault, values })), VaultModule.forRoot(vault)]);
  server.kv().put('payments', { url: 'https://new', apiKey: API_KEY });
  await clock.advance(3_600_000);
  const lazy = registerAs('lazy', vaultConfig({ vault, values }));
  const module = await app.get(LazyModuleLoader).load(() => ConfigModule.forFeature(lazy) as never);
  expect(module.get<{ url: string }>(lazy.KEY).url).toBe('https://new');
  expect(world.reads).toHaveLength(2);
});

it('the types follow the declaration', () => {
  const { vault } = world;
  const load = vaultConfig({
    vault,
    values: {
      secret: { path: 'a', key: 'b' },
      plain: { path: 'a', key: 'b', plain: true },
      whole: { path: 'a' },
      optional: { path: 'a', key: 'b', default: undefined },
      fromFunction: { path: 'a', key: 'b', plain: true, default: () => process.env['NOTHING'] },
      given: { path: 'a', key: 'b', plain: true, default: 'x' },
      watched: { path: 'a', key: 'b', watch: true },
    },
  });
  expectTypeOf(load).returns.resolves.toEqualTypeOf<{
    readonly secret: Secret<string>;
    readonly plain: string;
    readonly whole: Secret<Record<string, unknown>>;
    readonly optional: Secret<string> | undefined;
    readonly fromFunction: string | undefined;
    readonly given: string;
    readonly watched: Observable<Secret<string>>;
  }>();
  const schema = z.object({ port: z.number(), name: z.string().optional(), url: z.string() });
  const checked = vaultConfig({
    vault,
    values: { port: { path: 'a', key: 'b', plain: true, watch: true }, name: { path: 'a', key: 'c' } },
    schema,
  });
  expectTypeOf(checked).returns.resolves.toEqualTypeOf<{
    port: Observable<number>;
    name?: Secret<string> | undefined;
    url: Secret<string>;
  }>();
});

describe('several tests in one process', () => {
  it.each(['at the same time', 'after each other'])('%s: each sees its own server', async (when) => {
    const worlds = [new World('canary-of-one'), new World('canary-of-another')];
    apps.guard('canary-of-one', 'canary-of-another');
    // The same objects in both, as a test imports the module of the application.
    const vault: VaultOptions = { address: 'https://vault.internal:8200', auth: token('root') };
    const payments = registerAs('payments', vaultConfig({ vault, values }));
    @Module({ imports: [config(vaultConfig({ vault, values }), payments), VaultModule.forRoot(vault)] })
    class AppModule {}
    const run = async ({ testing }: World) => {
      const app = await apps.start({ imports: [testing, AppModule] });
      const service = app.get(ConfigService);
      const seen = [service.get<Secret>('apiKey'), service.get<Secret>('payments.apiKey')];
      return seen.map((secret) => secret?.reveal());
    };
    const seen =
      when === 'after each other'
        ? [await run(worlds[0] as World), await run(worlds[1] as World)]
        : await Promise.all(worlds.map(run));
    expect(seen).toEqual([
      ['canary-of-one', 'canary-of-one'],
      ['canary-of-another', 'canary-of-another'],
    ]);
  });
});

describe('what is missing', () => {
  it('is one error that names each value, and nothing stays logged in', async () => {
    const { vault } = world;
    const absent = {
      fine: { path: 'flags', key: 'beta' },
      secret: { path: 'nowhere', key: 'a' },
      again: { path: 'nowhere', key: 'b' },
      key: { path: 'payments', key: 'nokey' },
      version: { path: 'payments', key: 'url', version: 7 },
    };
    const error = (await apps.startError({
      imports: [
        world.testing,
        config(
          vaultConfig({ vault, values: absent }),
          registerAs('r', vaultConfig({ vault, values: { x: { path: 'gone' } } })),
        ),
        VaultModule.forRoot(vault),
      ],
    })) as VaultError;
    expect(error.code).toBe('VAULT_STARTUP_FAILED');
    expect(error.message).toContain('4 values of the configuration could not be read');
    expect(error.hint).toMatch(/nowhere.*nokey.*version 7.*gone/);
    expect(error.errors?.map(({ code }) => code).sort()).toEqual([
      'VAULT_SECRET_KEY_MISSING',
      ...Array<string>(3).fill('VAULT_SECRET_NOT_FOUND'),
    ]);
    expect(world.tokens).toBe(0);
  });

  it('has a default where the server has none: a text, or what a function finds in the environment', async () => {
    const { vault } = world;
    process.env['VAULT_CONFIG_TEST'] = 'canary-from-the-environment';
    apps.guard('canary-from-the-environment');
    const app = await start([
      config(
        vaultConfig({
          vault,
          values: {
            ...values,
            a: { path: 'nowhere', key: 'a', default: () => process.env['VAULT_CONFIG_TEST'] },
            b: { path: 'payments', key: 'nokey', plain: true, default: 'http://localhost' },
            c: { path: 'payments', key: 'neither', default: undefined },
          },
        }),
      ),
    ]);
    delete process.env['VAULT_CONFIG_TEST'];
    const service = app.get(ConfigService);
    expect(service.get<Secret>('a')?.reveal()).toBe('canary-from-the-environment');
    expect([service.get('b'), service.get('c'), service.get('url')]).toEqual([
      'http://localhost',
      undefined,
      'https://payments',
    ]);
    expect(apps.log).toContain('takes the default of `a`, `b`, `c`: the server has none');
  });

  it('a default that throws is named, without its text', async () => {
    const fail = () => {
      throw new Error('canary-of-the-default');
    };
    apps.guard('canary-of-the-default');
    const absent = { a: { path: 'nowhere', default: fail } };
    const load = vaultConfig({ vault: world.vault, values: absent });
    expect(await apps.startError({ imports: [world.testing, config(load)] })).toMatchObject({
      code: 'VAULT_EXTENSION_INVALID',
      message: expect.stringContaining('The default of "a" in the configuration threw Error.') as string,
    });
  });

  it('a denied secret has no default', async () => {
    const { server } = world;
    server.policy('none', {});
    const { roleId, secretId } = server.appRole('denied', { policies: ['none'] });
    const vault = { ...world.vault, auth: appRole({ roleId, secretId: secretId() }) };
    const load = vaultConfig({ vault, values: { a: { path: 'payments', key: 'apiKey', default: 'x' } } });
    expect(await apps.startError({ imports: [world.testing, config(load)] })).toMatchObject({
      code: 'VAULT_PERMISSION_DENIED',
    });
    expect(world.tokens).toBe(0);
  });

  it('a server that does not answer: the start fails within its time, and names it', async () => {
    world.server.cut(() => true);
    const vault: VaultOptions = { ...world.vault, startup: { timeout: 3_000 } };
    const failed = apps.startError({ imports: [world.testing, config(vaultConfig({ vault, values }))] });
    const error = (await world.clock.until(failed)) as VaultError;
    expect(error).toMatchObject({ code: 'VAULT_UNREACHABLE' });
    expect(error.message).toContain('gave up after 3 s');
  });

  it.each([
    ['undefined', undefined],
    ['a function that returns undefined', () => undefined],
  ])('without a server (%s), each value is its default', async (_name, vault) => {
    const app = await start([
      config(
        vaultConfig({
          vault,
          values: { url: { path: 'payments', key: 'url', plain: true, default: 'x' } },
        }),
      ),
    ]);
    expect(app.get(ConfigService).get('url')).toBe('x');
    expect(world.requests()).toEqual([]);
    expect(apps.log).toContain('takes the default of `url`: `vault` is undefined');
    expect(apps.log).toContain('"code":"configuration-defaults"');
    expect(await apps.startError({ imports: [config(vaultConfig({ vault, values }))] })).toMatchObject({
      code: 'VAULT_STARTUP_FAILED',
      hint: expect.stringMatching(/"apiKey".*"url"/) as string,
    });
  });

  it('the start fails elsewhere: the end of the process, or the time limit, ends the login', async () => {
    const failing = {
      provide: 'failing',
      inject: [ConfigService],
      useFactory: () => Promise.reject(new Error('x')),
    };
    const imports = [
      world.testing,
      config(vaultConfig({ vault: world.vault, values })),
      VaultModule.forRootAsync({
        inject: ['failing'],
        extraProviders: [failing],
        useFactory: () => world.vault,
      }),
    ];
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    try {
      expect(await apps.startError({ imports })).toMatchObject({ message: 'x' });
      expect(world.tokens).toBe(1);
      await vi.advanceTimersByTimeAsync(10_000);
      expect(world.tokens).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('a start that waits for itself', () => {
  const service = {
    provide: 'service',
    inject: [CredentialsService],
    useFactory: async (credentials: CredentialsService) => {
      await credentials.getDatabase('orders');
      return 'service';
    },
  };

  it('is an error after 10 s, also with a configuration that is read meanwhile', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    try {
      const failed = apps.startError({
        imports: [
          world.testing,
          config(vaultConfig({ vault: world.vault, values })),
          VaultModule.forRootAsync({
            inject: ['service'],
            extraProviders: [service],
            useFactory: () => ({ ...world.vault }),
          }),
        ],
      });
      await vi.waitFor(() => expect(world.reads).toHaveLength(1), { interval: 1 });
      await vi.advanceTimersByTimeAsync(10_000);
      expect(await failed).toMatchObject({
        code: 'VAULT_STARTUP_FAILED',
        hint: expect.stringContaining('cycle') as string,
      });
      expect(world.tokens).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

it('a function that never returns the options is an error after 10 s', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  try {
    const never = () => new Promise<VaultOptions>(() => undefined);
    const failed = apps.startError({
      imports: [world.testing, config(vaultConfig({ vault: never, values }))],
    });
    await vi.waitFor(() => expect(vi.getTimerCount()).toBeGreaterThan(0), { interval: 1 });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await failed).toMatchObject({
      code: 'VAULT_STARTUP_FAILED',
      message: expect.stringContaining('`vault` of vaultConfig') as string,
    });
  } finally {
    vi.useRealTimers();
  }
});

describe('a schema', () => {
  const schema = z.object({ password: z.string().min(8), port: z.coerce.number(), url: z.url() });
  const mail = {
    password: { path: 'mail', key: 'password' },
    port: { path: 'mail', key: 'port', plain: true },
    url: { path: 'payments', key: 'url', plain: true },
  } as const;

  it('checks and converts the values', async () => {
    const { vault } = world;
    const settings = registerAs('mail', vaultConfig({ vault, values: mail, schema }));
    const app = await start([config(settings)]);
    const found = app.get<ConfigType<typeof settings>>(settings.KEY);
    const port: number = found.port;
    const password: Secret<string> = found.password;
    expect([port, password.reveal()]).toEqual([25, 'canary-mail-password']);
  });

  it.each([
    ['zod', schema.extend({ password: z.string().min(50) })],
    ['valibot', v.object({ password: v.pipe(v.string(), v.minLength(50)) })],
    ['arktype', type({ password: 'string>=50' })],
  ])('%s: the start fails with the names, and without the values', async (_name, strict) => {
    const load = vaultConfig({ vault: world.vault, values: mail, schema: strict as typeof schema });
    const error = (await apps.startError({ imports: [world.testing, config(load)] })) as VaultError;
    expect(error).toMatchObject({ code: 'VAULT_SECRET_INVALID' });
    expect(error.message).toContain('password');
    expect(world.tokens).toBe(0);
  });

  it('without one, the value of a key must be a text', async () => {
    const load = vaultConfig({ vault: world.vault, values: { port: { path: 'mail', key: 'port' } } });
    expect(await apps.startError({ imports: [world.testing, config(load)] })).toMatchObject({
      code: 'VAULT_SECRET_INVALID',
      message: expect.stringContaining('"port" of the configuration is a number, not a text') as string,
    });
  });
});

describe('a watched value', () => {
  const watched = {
    apiKey: { path: 'payments', key: 'apiKey', watch: true },
    url: { path: 'payments', key: 'url', plain: true, watch: true },
    beta: { path: 'flags', key: 'beta', plain: true },
  } as const;

  it('emits the current value, and each new valid one; one request for each secret and interval', async () => {
    const { vault, server, clock } = world;
    const schema = z.object({ apiKey: z.string(), url: z.url(), beta: z.string() });
    const settings = registerAs('p', vaultConfig({ vault, values: watched, schema, every: 60_000 }));
    const app = await start([config(settings), VaultModule.forRoot(vault)]);
    const { apiKey, url } = app.get<ConfigType<typeof settings>>(settings.KEY);
    const keys: unknown[] = [];
    const urls: string[] = [];
    apiKey.subscribe((secret) => keys.push(secret.reveal()));
    url.subscribe((one) => urls.push(one));
    expect([keys, urls]).toEqual([[API_KEY], ['https://payments']]);
    expect(world.reads).toEqual(['GET secret/data/payments', 'GET secret/data/flags']);

    apps.guard('canary-changed-key', 'canary-last-key');
    server.kv().put('payments', { apiKey: 'canary-changed-key', url: 'https://payments' });
    await clock.advance(70_000);
    expect([keys, urls]).toEqual([[API_KEY, 'canary-changed-key'], ['https://payments']]);
    expect(world.reads.length).toBe(3);

    server.kv().put('payments', { apiKey: 'canary-last-key', url: 'canary no URL' });
    await clock.advance(70_000);
    expect(urls).toEqual(['https://payments']);
    expect(apps.log).toMatch(
      /the configuration keeps its values, those now at payments are not valid.*"configuration-kept"/,
    );
    const status = async () => (await firstValueFrom(app.get(CredentialsService).status$)).connections[0];
    expect(await status()).toMatchObject({
      health: 'degraded',
      secrets: [{ path: 'secret/payments', state: 'degraded', error: { code: 'VAULT_SECRET_INVALID' } }],
    });
    apps.note(JSON.stringify(await status()));
    server.kv().put('payments', { apiKey: 'canary-last-key', url: 'https://new' });
    await clock.advance(70_000);
    expect([keys.at(-1), urls.at(-1)]).toEqual(['canary-last-key', 'https://new']);
    expect(await status()).toMatchObject({ health: 'up', secrets: [{ state: 'valid' }] });
    expect((await firstValueFrom(apiKey)).reveal()).toBe('canary-last-key');
    apps.note(inspect([apiKey, app.get(ConfigService)], { depth: 20, showHidden: true }));

    let completed = false;
    url.subscribe({ complete: () => (completed = true) });
    await app.close();
    expect(completed).toBe(true);
    expect(process.env['p.url'] ?? process.env['url']).toBeUndefined();
  });

  it('needs a VaultModule with the same options', async () => {
    const { vault } = world;
    const load = vaultConfig({ vault, values: watched });
    const imports = [world.testing, config(load), VaultModule.forRoot({ ...vault })];
    expect(await apps.startError({ imports })).toMatchObject({
      code: 'VAULT_CONFIG_INVALID',
      message: expect.stringContaining('`apiKey`, `url`') as string,
    });
    expect(world.tokens).toBe(0);
  });
});

describe('watched values that', () => {
  let running: TestingModule | undefined;
  const follow = async (load: () => Promise<object>, name: string) => {
    const app = await start([config(registerAs('p', load)), VaultModule.forRoot(world.vault)]);
    running = app;
    const seen: unknown[] = [];
    app
      .get<Record<string, Observable<unknown>>>(getConfigToken('p'))
      [name]?.subscribe({ next: (one) => seen.push(one), complete: () => seen.push('completed') });
    return seen;
  };
  const watch = (path: string, key: string) => ({ path, key, plain: true, watch: true }) as const;

  it('are absent at the start begin with their default, and follow the secret', async () => {
    const { vault, server, clock } = world;
    const beta = { ...watch('later', 'beta'), default: 'off' };
    const seen = await follow(vaultConfig({ vault, every: 60_000, values: { beta } }), 'beta');
    await clock.advance(200_000);
    expect(seen).toEqual(['off']);
    const { connections } = await firstValueFrom((running as TestingModule).get(CredentialsService).status$);
    expect(connections.map(({ health }) => health)).toEqual(['up']);
    server.kv().put('later', { beta: 'on' });
    await clock.advance(70_000);
    expect(seen).toEqual(['off', 'on']);
    server.kv().put('later', { other: 'x' });
    await clock.advance(70_000);
    expect(seen).toEqual(['off', 'on', 'off']);
    expect(apps.log).not.toContain('secret-gone');
  });

  it('change together arrive, although the schema refuses each alone', async () => {
    const { vault, server, clock } = world;
    for (const name of ['cert', 'key']) server.kv().put(name, { id: 'one' });
    const schema = z
      .object({ cert: z.string(), key: z.string() })
      .refine(({ cert, key }) => cert === key, 'no pair');
    const pair = { cert: watch('cert', 'id'), key: watch('key', 'id') };
    const seen = await follow(vaultConfig({ vault, every: 60_000, schema, values: pair }), 'cert');
    for (const name of ['cert', 'key']) server.kv().put(name, { id: 'two' });
    await clock.advance(140_000);
    expect(seen).toEqual(['one', 'two']);
  });

  it('JSON does not show are emitted', async () => {
    const { vault, server, clock } = world;
    const schema = z.object({ url: z.string().transform((text) => new Set([text])) });
    const values = { url: watch('payments', 'url') };
    const seen = await follow(vaultConfig({ vault, every: 60_000, schema, values }), 'url');
    server.kv().put('payments', { url: 'https://new' });
    await clock.advance(70_000);
    server.kv().put('payments', { url: 'https://new', apiKey: 'changed' });
    await clock.advance(70_000);
    expect(seen).toEqual([new Set(['https://payments']), new Set(['https://new'])]);
  });
});

describe('a watched value whose connection would end', () => {
  const watching = (vault: Parameters<typeof vaultConfig>[0]['vault']) =>
    vaultConfig({
      vault,
      values: { url: { path: 'payments', key: 'url', plain: true, watch: true } },
    });

  it.each<[string, () => NonNullable<ModuleMetadata['imports']>]>([
    [
      'the factory waits for the configuration, and returns a copy',
      () => [
        config(watching(world.vault)),
        VaultModule.forRootAsync({ inject: [ConfigService], useFactory: () => ({ ...world.vault }) }),
      ],
    ],
    [
      'the factory returns a copy at once',
      () => [
        VaultModule.forRootAsync({ useFactory: () => ({ ...world.vault }) }),
        config(watching(world.vault)),
      ],
    ],
  ])('fails the start: %s', async (_name, imports) => {
    expect(await apps.startError({ imports: [world.testing, ...imports()] })).toMatchObject({
      code: 'VAULT_CONFIG_INVALID',
      message: expect.stringContaining('`url`') as string,
    });
    expect(world.tokens).toBe(0);
  });

  it('shares the connection with a factory that returns the same object as the function', async () => {
    const { vault } = world;
    const settings = registerAs(
      'p',
      watching(() => vault),
    );
    const app = await start([
      config(settings),
      VaultModule.forRootAsync({ inject: [ConfigService], useFactory: () => vault }),
    ]);
    let completed = false;
    app.get<{ url: Observable<string> }>(settings.KEY).url.subscribe({ complete: () => (completed = true) });
    expect([world.logins, completed]).toEqual([1, false]);
  });

  it('fails the start, if the options of the module take more than 10 s', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    try {
      const failed = apps.startError({
        imports: [
          world.testing,
          config(watching(world.vault)),
          VaultModule.forRootAsync({
            useFactory: async () => {
              await new Promise((resolve) => setTimeout(resolve, 10_600));
              return world.vault;
            },
          }),
        ],
      });
      await vi.waitFor(() => expect(world.reads).toHaveLength(1), { interval: 1 });
      await vi.advanceTimersByTimeAsync(11_000);
      expect(await failed).toMatchObject({
        code: 'VAULT_STARTUP_FAILED',
        message: expect.stringContaining('watches `url`') as string,
      });
      expect(apps.log).toMatch(/have not arrived in 10 s.*"configuration-too-late"/);
      expect(world.tokens).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('a read before the load has ended', () => {
  @Injectable()
  class Reader implements OnModuleInit {
    readonly early: unknown;
    later: unknown;
    constructor(private readonly service: ConfigService) {
      this.early = service.get('url');
    }
    onModuleInit() {
      this.later = this.service.get('url');
    }
  }
  @Module({ imports: [ConfigModule], providers: [Reader] })
  class InReadmesWay {}
  @Module({ providers: [Reader] })
  class Feature {}

  const load = () => vaultConfig({ vault: world.vault, values });

  it('is an error with a remedy in a feature that imports ConfigModule', async () => {
    const imports = [
      world.testing,
      ConfigModule.forRoot({ ignoreEnvFile: true, load: [load()] }),
      VaultModule.forRoot(world.vault),
      InReadmesWay,
    ];
    expect(await apps.startError({ imports })).toMatchObject({
      code: 'VAULT_STARTUP_FAILED',
      message: expect.stringContaining('"url" was read before') as string,
      hint: expect.stringContaining('isGlobal: true') as string,
    });
  });

  it('is an error for a member of registerAs, too; afterwards the value is there', async () => {
    const payments = registerAs('payments', load());
    let early: unknown;
    @Injectable()
    class Member implements OnModuleInit {
      later: unknown;
      constructor(private readonly service: ConfigService) {
        try {
          service.get('payments.url');
        } catch (error) {
          early = error;
        }
      }
      onModuleInit() {
        this.later = this.service.get('payments.url');
      }
    }
    @Module({ imports: [ConfigModule], providers: [Member] })
    class WithMember {}
    const app = await start([
      ConfigModule.forRoot({ ignoreEnvFile: true, load: [payments] }),
      VaultModule.forRoot(world.vault),
      WithMember,
    ]);
    expect(early).toMatchObject({ code: 'VAULT_STARTUP_FAILED' });
    expect(app.get(Member, { strict: false }).later).toBe('https://payments');
  });

  it('does not happen with `isGlobal: true`', async () => {
    const app = await start([Feature, config(load()), VaultModule.forRoot(world.vault)]);
    expect(app.get(Reader, { strict: false })).toMatchObject({
      early: 'https://payments',
      later: 'https://payments',
    });
  });
});

it('precedence: a later `load`, then Vault, then the environment, then the argument of `get`', async () => {
  process.env['url'] = 'of the environment';
  process.env['VAULT_CONFIG_ONLY'] = 'only there';
  const vaultValues = vaultConfig({ vault: world.vault, values });
  const before = (await start([config(() => Promise.resolve({ url: 'earlier' }), vaultValues)])).get(
    ConfigService,
  );
  const after = (await start([config(vaultValues, () => Promise.resolve({ url: 'later' }))])).get(
    ConfigService,
  );
  expect([before.get('url'), after.get('url')]).toEqual(['https://payments', 'later']);
  expect([before.get('VAULT_CONFIG_ONLY', 'default'), before.get('nothing', 'default')]).toEqual([
    'only there',
    'default',
  ]);
  expect(process.env['url']).toBe('of the environment');
  delete process.env['url'];
  delete process.env['VAULT_CONFIG_ONLY'];
});

it('the start: one login and eleven requests, those of the configuration first', async () => {
  const { vault, server, clock } = world;
  for (const name of ['a', 'b', 'c']) server.kv().put(name, { key: 'value' });
  server.databaseRole('reports', { defaultTtl: '1h', maxTtl: '4h' });
  server.databaseRole('audit', { defaultTtl: '1h', maxTtl: '4h' });
  @Injectable()
  class Host {
    constructor(
      @InjectSecret('a') readonly a: Secret,
      @InjectSecret('b') readonly b: Secret,
      @InjectSecret('c') readonly c: Secret,
      @InjectSecret('c', { key: 'key', version: 1 }) readonly d: Secret,
      @InjectSecret('a', { version: 1 }) readonly e: Secret,
      // Also in the configuration, so no request.
      @InjectSecret('payments', { key: 'url' }) readonly f: Secret,
      @InjectCredentials('orders') readonly orders$: Observable<DatabaseCredentials>,
      @InjectCredentials('reports') readonly reports$: Observable<DatabaseCredentials>,
      @InjectCredentials('audit') readonly audit$: Observable<DatabaseCredentials>,
    ) {}
  }
  const flat = { ...values, beta: { path: 'flags', key: 'beta' } };
  const mail = registerAs(
    'mail',
    vaultConfig({ vault, values: { password: { path: 'mail', key: 'password' } } }),
  );
  server.delay(100, () => true, { before: true });
  await clock.until(
    start([VaultModule.forRoot(vault), config(vaultConfig({ vault, values: flat }), mail)], [Host]),
  );
  const read = server.history.filter(({ path }) => !path.includes('auth/'));
  const rounds = [...new Set(read.map(({ at }) => at))].map((round) =>
    read
      .filter(({ at }) => at === round)
      .map(({ path }) => path.replace('/v1/', ''))
      .sort(),
  );
  server.clearFaults();
  expect(world.logins).toBe(1);
  expect(rounds).toEqual([
    ['secret/data/flags', 'secret/data/mail', 'secret/data/payments'],
    [
      'database/creds/audit',
      'database/creds/orders',
      'database/creds/reports',
      'secret/data/a',
      'secret/data/a',
      'secret/data/b',
      'secret/data/c',
      'secret/data/c',
    ],
  ]);
});

it('a wrong call is refused at once, with every problem', () => {
  const wrong = {
    values: { a: { key: 1 }, b: { path: 'x', version: 2, watch: true, secret: true } },
    schema: 1,
    every: 5,
  };
  expect(() => vaultConfig(wrong as never)).toThrow(
    /`vault` is missing.*`a.path` must be a string.*`a.key`.*`b` has no option `secret`.*`b` cannot be watched.*`schema`.*`every`/,
  );
});
