import { inspect } from 'node:util';
import { ConfigModule, ConfigService, registerAs } from '@nestjs/config';
import { Injectable, Optional, type ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import type { Observable } from 'rxjs';
import { expect } from 'vitest';
import { z } from 'zod';
import {
  appRole,
  CredentialsService,
  InjectCredentials,
  InjectSecret,
  OnRotation,
  vaultConfig,
  VaultModule,
  type Credentials,
  type Secret,
  type VaultConfigOptions,
  type VaultOptions,
} from '../../lib/index.js';
import type { VirtualClock } from '../../lib/testing/index.js';
import { ENVIRONMENT_TOKEN } from '../../lib/vault.environment.js';
import { expectFit, expectHidden } from './fit.js';
import { SECRET_ID, type Consumer, type Server } from './server.js';

const Form = z.object({ password: z.string().min(1) });
const ROTATED: unknown[] = [];

@Injectable()
class WithSchema {
  @InjectSecret('app', { schema: Form }) readonly secret!: Secret<z.infer<typeof Form>>;
}

@Injectable()
class WithParameters {
  @InjectCredentials({ path: 'pki/issue/app', parameters: { common_name: 'app' } })
  readonly certificate$!: Observable<Credentials<unknown>>;
}

@Injectable()
class WithOptional {
  @Optional() @InjectSecret('app', { key: 'password' }) readonly secret?: Secret;
}

@Injectable()
class Watching {
  @InjectSecret('app', { schema: Form, watch: true }) readonly secret$!: Observable<Secret<unknown>>;

  @OnRotation({ secret: 'app' }, { key: 'password' })
  rotated(value: Secret<unknown>): void {
    ROTATED.push(value);
  }
}

const VALUES = {
  password: { path: 'app', key: 'password' },
  all: { path: 'app' },
  other: { path: 'app', key: 'other', default: 'none' },
} as const;

/** What one application has of the server, after its start. */
type Holds = (app: TestingModule) => unknown;

/** Applications whose start, or whose watches, get an answer. Each call starts one, and ends it. */
export function applications(clock: VirtualClock, server: Server): Record<string, Consumer> {
  const lives =
    (metadata: (vault: VaultOptions) => ModuleMetadata, holds: Holds, later = false) =>
    () =>
      live(clock, server, metadata, holds, later);
  const config = (more: Partial<VaultConfigOptions>, named = false) =>
    lives(
      (vault) => {
        const load = vaultConfig({ vault, values: VALUES, ...more });
        return { imports: [configModule(named ? registerAs('app', load) : load)] };
      },
      (app) => {
        const service = app.get(ConfigService);
        const all: unknown = named ? service.get('app') : { password: service.get<unknown>('password') };
        expect(all).toHaveProperty('password');
        return [all, service];
      },
    );
  const host = <T extends object>(Host: new () => T) =>
    lives(
      () => ({ providers: [Host] }),
      (app) => ({ ...app.get<T>(Host) }),
    );
  const flags = { password: { path: 'app', key: 'password', watch: true } } as const;
  const secret = { path: 'secret/data/app', application: true };
  return {
    vaultConfig: { ...secret, ask: config({}) },
    'vaultConfig, its login': { path: 'auth/approle/login', application: true, ask: config({}) },
    'vaultConfig of registerAs': { ...secret, ask: config({}, true) },
    'vaultConfig with a schema': {
      ...secret,
      ask: config({ schema: z.object({ password: z.string(), all: Form }) }),
    },
    'watched vaultConfig': {
      ...secret,
      ask: lives(
        (vault) => ({ imports: [configModule(vaultConfig({ vault, values: flags }))] }),
        (app) => current(app.get(ConfigService).get<Observable<unknown>>('password')),
        true,
      ),
    },
    '@InjectSecret with a schema': { ...secret, ask: host(WithSchema) },
    '@InjectCredentials with parameters': {
      path: 'pki/issue/app',
      application: true,
      ask: host(WithParameters),
    },
    '@Optional @InjectSecret': { ...secret, ask: host(WithOptional) },
    'watched @InjectSecret and @OnRotation': {
      ...secret,
      ask: lives(
        () => ({ providers: [Watching] }),
        (app) => [current(app.get(Watching).secret$), ROTATED.splice(0)],
        true,
      ),
    },
  };
}

function configModule(load: () => Promise<object>) {
  return ConfigModule.forRoot({ isGlobal: true, ignoreEnvFile: true, load: [load] });
}

/** The value of a live secret. It must have one, whatever the server answers. */
function current(values$: Observable<unknown> | undefined): unknown {
  const values: unknown[] = [];
  values$?.subscribe((value) => void values.push(value)).unsubscribe();
  expect(values).toHaveLength(1);
  return values[0];
}

/** Time that the caller lets pass. */
const passed = (clock: VirtualClock, milliseconds: number) =>
  new Promise<void>((resolve) => void clock.setTimer(milliseconds, resolve));

/** @param later whether the answer is for the first read after the start */
async function live(
  clock: VirtualClock,
  server: Server,
  metadata: (vault: VaultOptions) => ModuleMetadata,
  holds: Holds,
  later: boolean,
): Promise<unknown> {
  const { hostile } = server;
  if (later) server.hostile = undefined;
  const options: VaultOptions = {
    address: 'http://vault.test',
    auth: appRole({ roleId: 'app', secretId: SECRET_ID }),
    kvVersion: 2,
    startup: { timeout: 0 },
  };
  const { imports = [], ...rest } = metadata(options);
  const environment = { provide: ENVIRONMENT_TOKEN, useFactory: () => ({ clock, transport: () => server }) };
  class TestEnvironment {}
  const lines: unknown[] = [];
  const keep = (...line: unknown[]) => void lines.push(line);
  const building = Test.createTestingModule({
    imports: [
      { module: TestEnvironment, global: true, providers: [environment], exports: [ENVIRONMENT_TOKEN] },
      ...imports,
      VaultModule.forRoot(options),
    ],
    ...rest,
  }).setLogger({ log: keep, warn: keep, error: keep, debug: keep, verbose: keep });
  try {
    const app = await building.compile().then((one) => one.init());
    try {
      if (later) {
        const before = server.asked.length;
        // The next read is after five minutes and some, and gets this answer; the one after it gets a good one.
        server.hostile = hostile;
        await passed(clock, 400_000);
        expect(server.asked.length).toBeGreaterThan(before);
        server.hostile = undefined;
        await passed(clock, 400_000);
      }
      const held = holds(app);
      for (const { error } of app.get(CredentialsService).recentEvents as readonly { error?: unknown }[])
        if (error) expectFit(error);
      expectHidden(app.get(CredentialsService).recentEvents);
      return held;
    } finally {
      server.hostile = undefined;
      await app.close();
    }
  } finally {
    expectHidden(lines.map((line) => inspect(line)));
  }
}
