import { inspect } from 'node:util';
import { Injectable, Optional, type ModuleMetadata } from '@nestjs/common';
import { ConfigModule, ConfigService, registerAs } from '@nestjs/config';
import {
  appRole,
  getCredentialsToken,
  getSecretToken,
  InjectCredentials,
  InjectSecret,
  OnRotation,
  vaultConfig,
  VaultModule,
  type VaultConfigValue,
  type VaultOptions,
} from 'nestjs-vault';
import { SimulatedVault, VaultTestingModule, VirtualClock } from 'nestjs-vault/testing';
import { type } from 'arktype';
import * as v from 'valibot';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Applications } from '../support/applications.js';
import { Audit } from './audit.js';

const [STORED, CHANGED, DEFAULT] = ['canary-stored-value', 'canary-changed-value', 'canary-default-value'];
const PARAMETER = 'canary-in-a-parameter';
const NUMBER = 123_456_789;

/** Schemas that refuse every value here; their own messages quote it. */
const REFUSING = {
  zod: z.object({
    value: z.literal('other').or(z.string().refine(() => false, { error: (i) => `not ${String(i.input)}` })),
  }),
  valibot: v.object({ value: v.picklist(['other']) }),
  arktype: type({ value: '"other"' }),
  'one that throws': {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: (value: unknown) => {
        throw new Error(JSON.stringify(value));
      },
    },
  },
};

const ANY = z.object({ value: z.string() });
const LIVE = { key: 'value', watch: { every: 1_000 } };
const PARAMETERS = { path: 'issued/creds/app', parameters: { common_name: PARAMETER } };

@Injectable()
class Host {
  @InjectSecret('app', { schema: ANY }) readonly secret!: unknown;
  @InjectSecret('app', LIVE) readonly secret$!: unknown;
  @InjectCredentials(PARAMETERS) readonly credentials$!: unknown;
  @Optional() @InjectSecret('nowhere') readonly absent?: unknown;

  @OnRotation({ secret: 'app' }, LIVE)
  rotated(value: { reveal(): unknown }): never {
    throw new Error(String(value.reveal()));
  }
}

describe('no printer shows a secret of the configuration or of a decorator', () => {
  const audit = new Audit('configuration');
  const apps = new Applications();
  for (const [name, value] of Object.entries({ STORED, CHANGED, DEFAULT, PARAMETER, NUMBER: String(NUMBER) }))
    audit.guard(name, value);

  afterEach(() => apps.finish());
  afterAll(() => audit.count());

  const prepare = () => {
    const clock = new VirtualClock();
    const server = new SimulatedVault({ clock });
    server.kv().put('app', { value: STORED, number: NUMBER });
    server.leasedSecret('issued/creds/app', { ttl: 60, maxTtl: 600, data: () => ({ password: STORED }) });
    const { roleId, secretId } = server.appRole('app');
    const id = secretId();
    audit.guard('a secret_id', id);
    const vault: VaultOptions = {
      address: 'https://vault.test',
      auth: appRole({ roleId, secretId: id }),
      startup: { timeout: 0 },
    };
    const start = ({ imports = [], ...rest }: ModuleMetadata): ModuleMetadata => ({
      imports: [VaultTestingModule.forRoot({ vault: server }), ...imports, VaultModule.forRoot(vault)],
      ...rest,
    });
    return { clock, server, vault, start };
  };
  const configModule = (...load: (() => Promise<object>)[]) =>
    ConfigModule.forRoot({ isGlobal: true, ignoreEnvFile: true, cache: true, load });
  const value = { path: 'app', key: 'value' } as const;

  it('of values, flat, named, checked, watched and by default: services, modules, logs', async () => {
    const { clock, server, vault, start } = prepare();
    const loads = {
      flat: vaultConfig({ vault, values: { flat: value, all: { path: 'app' } } }),
      named: registerAs('named', vaultConfig({ vault, values: { value }, schema: ANY })),
      watched: vaultConfig({
        vault,
        values: { live: { ...value, watch: true } },
        schema: z.object({ live: z.string() }),
        every: 1_000,
      }),
      byDefault: vaultConfig({ vault, values: { other: { path: 'nowhere', default: DEFAULT } } }),
      offline: registerAs(
        'offline',
        vaultConfig({ vault: undefined, values: { value: { ...value, default: () => DEFAULT } } }),
      ),
    };
    const app = await clock.until(
      apps.start(start({ imports: [configModule(...Object.values(loads))], providers: [Host] })),
    );
    const printed = (more: object = {}) => {
      const config = app.get(ConfigService);
      const { secret, secret$, credentials$, absent } = app.get(Host);
      audit.printAll({
        loads,
        'tokens of decorators': [getSecretToken('app', { schema: ANY }), getCredentialsToken(PARAMETERS)],
        ConfigService: config,
        'values of it': ['flat', 'all', 'named', 'live', 'other', 'offline'].map((name) =>
          config.get<unknown>(name),
        ),
        'host of decorators': app.get(Host),
        'injected values': [secret, secret$, credentials$, absent],
        ...more,
      });
    };
    printed();
    server.kv().put('app', { value: CHANGED });
    await clock.advance(5_000);
    // The schema of the watched value refuses this one.
    server.kv().put('app', { value: NUMBER });
    await clock.advance(5_000);
    printed({ application: app });
    await clock.until(app.close());
    expect(apps.log).toContain('takes the default of `other`');
    expect(apps.log).toContain('Host.rotated (@OnRotation of app) failed');
    expect(apps.log).toContain('the configuration keeps its values');
    audit.read('log', apps.log);
    audit.read('environment', inspect(process.env, { maxStringLength: null }));
    audit.expectClean();
  });

  it.each<[string, (vault: VaultOptions) => ModuleMetadata]>([
    ...Object.entries(REFUSING).flatMap(
      ([name, schema]): [string, (vault: VaultOptions) => ModuleMetadata][] => {
        class Injecting {
          @InjectSecret('app', { schema }) readonly secret!: unknown;
        }
        class Watching {
          @InjectSecret('app', { schema, watch: true }) readonly secret$!: unknown;
        }
        return [
          [
            `configuration, ${name}`,
            (vault) => ({ imports: [configModule(vaultConfig({ vault, values: { value }, schema }))] }),
          ],
          [
            `configuration by default, ${name}`,
            (vault) => ({
              imports: [
                configModule(
                  vaultConfig({ vault, values: { value: { path: 'nowhere', default: DEFAULT } }, schema }),
                ),
              ],
            }),
          ],
          [`injected, ${name}`, () => ({ providers: [Injecting] })],
          [`injected and watched, ${name}`, () => ({ providers: [Watching] })],
        ];
      },
    ),
    ...(
      [
        ['a value of another type', { path: 'app', key: 'number' }],
        ['a missing key', { path: 'app', key: 'nothing' }],
        [
          'a default that throws',
          {
            path: 'nowhere',
            default: () => {
              throw new Error(DEFAULT);
            },
          },
        ],
      ] as [string, VaultConfigValue][]
    ).map(([name, wrong]): [string, (vault: VaultOptions) => ModuleMetadata] => [
      name,
      (vault) => ({ imports: [configModule(vaultConfig({ vault, values: { value, wrong } }))] }),
    ]),
    [
      'refused parameters',
      () => {
        class Refused {
          @InjectCredentials({ path: 'issued/nothing', parameters: { common_name: PARAMETER } })
          readonly credentials$!: unknown;
        }
        return { providers: [Refused] };
      },
    ],
  ])('of a start that fails: %s', async (_name, metadata) => {
    const { clock, vault, start } = prepare();
    const error = await clock.until(apps.startError(start(metadata(vault))));
    audit.printAll({ error });
    audit.read('log', apps.log);
    audit.expectClean();
  });

  it('of calls that are refused', () => {
    const refused = (call: () => unknown) => {
      try {
        return call();
      } catch (error) {
        return error as Error;
      }
    };
    const errors = {
      vaultConfig: refused(() => vaultConfig(STORED as never)),
      'a value of it': refused(() =>
        vaultConfig({
          vault: undefined,
          values: { value: { path: 1, key: [STORED], default: DEFAULT } as never },
        }),
      ),
      'a schema': refused(() => getSecretToken('app', { schema: STORED as never })),
      parameters: refused(() => getCredentialsToken({ path: 'a/b', parameters: [PARAMETER] as never })),
      'parameters that JSON cannot represent': refused(() =>
        getCredentialsToken({ path: 'a/b', parameters: { a: PARAMETER, b: 1n } }),
      ),
      '@OnRotation': refused(() => OnRotation({ secret: [STORED] as never })),
    };
    for (const error of Object.values(errors)) expect(error).toBeInstanceOf(Error);
    audit.printAll(errors);
    audit.expectClean();
  });
});
