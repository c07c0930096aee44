import { Injectable, Module, type ModuleMetadata } from '@nestjs/common';
import { LazyModuleLoader, ModuleRef } from '@nestjs/core';
import { firstValueFrom, type Observable } from 'rxjs';
import {
  appRole,
  CredentialsService,
  getCredentialsToken,
  getSecretToken,
  InjectCredentials,
  InjectSecret,
  VaultModule,
  type DatabaseCredentials,
  type Secret,
} from 'nestjs-vault';
import { SimulatedVault, VaultTestingModule, VirtualClock } from 'nestjs-vault/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Applications } from '../support/applications.js';

type Credentials$ = Observable<DatabaseCredentials>;

describe('tokens outside of constructors', () => {
  const apps = new Applications();
  let vault: SimulatedVault;
  let vaultModule: ReturnType<typeof VaultModule.forRoot>;

  beforeEach(() => {
    vault = new SimulatedVault({ clock: new VirtualClock() });
    vault.databaseRole('orders', { defaultTtl: '1h', maxTtl: '4h' });
    vault.kv().put('app', { apiKey: 'canary-api-key' });
    const { roleId, secretId } = vault.appRole('app', { tokenTtl: '2h', tokenMaxTtl: '24h' });
    vaultModule = VaultModule.forRoot({
      address: 'https://vault.internal:8200',
      auth: appRole({ roleId, secretId: secretId() }),
    });
    apps.guard('canary-api-key');
  });

  afterEach(async () => {
    await apps.finish();
    vault.assertExpected();
  });

  const start = ({ imports = [], ...metadata }: ModuleMetadata = {}) =>
    apps.start({ ...metadata, imports: [VaultTestingModule.forRoot({ vault }), vaultModule, ...imports] });
  const requests = () => vault.history.map(({ method, path }) => `${method} ${path.replace('/v1/', '')}`);
  const reads = () => requests().filter((line) => !line.includes('auth/'));
  const logins = () => requests().filter((line) => line.includes('auth/approle/login')).length;

  it('app.get: credentials are requested on subscription, and not before', async () => {
    const token = getCredentialsToken('orders');
    const app = await start();
    const credentials$ = app.get<Credentials$>(token);
    expect(reads()).toEqual([]);
    const { username } = await firstValueFrom(credentials$);
    expect(username.reveal()).toContain('orders');
    expect(reads()).toEqual(['GET database/creds/orders']);
  });

  it('a wrong path in a class of another application of the process does not affect this one', async () => {
    class Elsewhere {}
    InjectCredentials('orders?x')(Elsewhere, undefined, 0);
    await start();
    await expect(start({ providers: [Elsewhere] })).rejects.toMatchObject({ code: 'VAULT_PATH_INVALID' });
  });

  it('app.get: the secret that a class or a factory of the application injects', async () => {
    @Injectable()
    class Host {
      constructor(@InjectSecret('app') readonly secret: Secret<{ apiKey: string }>) {}
    }
    const key = getSecretToken('app', { key: 'apiKey' });
    const app = await start({
      providers: [Host, { provide: 'factory', inject: [key], useFactory: (secret: Secret) => secret }],
    });
    expect(app.get<Secret>(getSecretToken('app')).reveal()).toEqual({ apiKey: 'canary-api-key' });
    expect(app.get<Secret>(key).reveal()).toBe('canary-api-key');
    expect(reads()).toEqual(['GET secret/data/app']);
  });

  it('app.get: the secret that forFeature declares', async () => {
    const app = await start({ imports: [VaultModule.forFeature({ secrets: ['app'] })] });
    expect(app.get<Secret>(getSecretToken('app')).reveal()).toEqual({ apiKey: 'canary-api-key' });
    expect(reads()).toEqual(['GET secret/data/app']);
  });

  it('app.get: a secret that nothing declares is not read, and its error names forFeature', async () => {
    const token = getSecretToken('app', { key: 'apiKey' });
    const app = await start();
    const secret = app.get<Secret>(token);
    expect(reads()).toEqual([]);
    expect(() => secret.reveal()).toThrow(
      expect.objectContaining({
        code: 'VAULT_STARTUP_FAILED',
        hint: expect.stringContaining("VaultModule.forFeature({ secrets: [['app', { key: 'apiKey' }]] })"),
      }),
    );
  });

  it('a class outside of the application causes no read; a lazy module that injects the same does', async () => {
    @Injectable()
    class Host {
      constructor(@InjectSecret('app', { key: 'apiKey' }) readonly secret: Secret) {}
    }
    @Module({ providers: [Host] })
    class LazyModule {}
    const app = await start();
    expect(reads()).toEqual([]);
    const module = await app.get(LazyModuleLoader).load(() => LazyModule);
    expect(module.get(Host).secret.reveal()).toBe('canary-api-key');
    expect(reads()).toEqual(['GET secret/data/app']);
  });

  it('ModuleRef.create builds a class that is no provider, after any look-ups', async () => {
    @Injectable()
    class Loose {
      constructor(
        @InjectSecret('app', { key: 'apiKey' }) readonly secret: Secret,
        @InjectCredentials('orders') readonly orders$: Credentials$,
      ) {}
    }
    const app = await start();
    expect(() => app.get<Secret>(getSecretToken('app', { key: 'apiKey' })).reveal()).toThrow('forFeature');
    const loose = await app.get(ModuleRef).create(Loose);
    expect(loose.secret.reveal()).toBe('canary-api-key');
    await firstValueFrom(loose.orders$);
    expect(reads()).toEqual(['GET secret/data/app', 'GET database/creds/orders']);
  });

  it('modules that are imported as promises get their tokens, and their secrets are read at the start', async () => {
    // Like import() of a file: its decorators run after Nest has scanned VaultModule.
    const late = new Promise((resolve) => setImmediate(resolve)).then(() => {
      @Injectable()
      class Late {
        constructor(
          @InjectSecret('late', { key: 'name' }) readonly secret: Secret,
          @InjectCredentials('orders') readonly orders$: Credentials$,
        ) {}
      }
      @Module({ providers: [Late] })
      class LateModule {}
      return { module: LateModule, host: Late };
    });
    vault.kv().put('late', { name: 'late' });
    const app = await start({ imports: [late] });
    const host = app.get((await late).host);
    expect(host.secret.reveal()).toBe('late');
    await firstValueFrom(host.orders$);
    expect(reads().sort()).toEqual(['GET database/creds/orders', 'GET secret/data/late']);
  });

  it('lazy modules that reach VaultModule share its connection: one login, one lease, nothing left', async () => {
    const app = await start();
    const loader = app.get(LazyModuleLoader);
    for (let index = 0; index < 3; index++) {
      @Module({ imports: [vaultModule, VaultModule.forFeature({ credentials: ['orders'] })] })
      class LazyModule {
        constructor(@InjectCredentials('orders') readonly orders$: Credentials$) {}
      }
      const module = await loader.load(() => LazyModule);
      await firstValueFrom(module.get(LazyModule).orders$);
    }
    expect(logins()).toBe(1);
    expect(reads()).toEqual(['GET database/creds/orders']);
    expect(app.get(CredentialsService).current('database/creds/orders')).toBeDefined();
    await app.close();
    expect(vault.liveUsers).toEqual([]);
    expect(requests().filter((line) => line.includes('revoke-self'))).toHaveLength(1);
  });

  it('a lazy module that declares a connection once more is refused', async () => {
    const app = await start();
    @Module({
      imports: [
        VaultModule.forRoot({ address: 'https://other:8200', auth: appRole({ roleId: 'a', secretId: 'b' }) }),
      ],
    })
    class Second {}
    const error = await app
      .get(LazyModuleLoader)
      .load(() => Second)
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'VAULT_CONFIG_INVALID',
      message: expect.stringContaining('two modules'),
    });
    expect(logins()).toBe(1);
  });
});
