import { Inject, Injectable, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  appRole,
  CredentialsService,
  type DatabaseCredentials,
  InjectCredentials,
  InjectSecret,
  KvService,
  type Secret,
  VaultError,
  VaultModule,
} from 'nestjs-vault';
import { SimulatedVault, VaultTestingModule, VirtualClock } from 'nestjs-vault/testing';
import type { Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const ROLE = Symbol('role');
const silent = { log() {}, error() {}, warn() {} };

/** An application without any code for tests. */
@Injectable()
class Orders {
  readonly users: string[] = [];
  current: DatabaseCredentials | undefined;

  constructor(
    @InjectCredentials('orders') credentials$: Observable<DatabaseCredentials>,
    @InjectSecret('orders/api', { key: 'key' }) readonly key: Secret<string>,
  ) {
    credentials$.subscribe((credentials) => {
      this.current = credentials;
      this.users.push(credentials.username.reveal());
    });
  }
}

const role = { roleId: '', secretId: '' };

@Module({ providers: [{ provide: ROLE, useFactory: () => role }], exports: [ROLE] })
class ConfigModule {}

@Module({
  imports: [
    VaultModule.forRootAsync({
      imports: [ConfigModule],
      inject: [ROLE],
      useFactory: ({ roleId, secretId }: typeof role) => ({
        address: 'https://vault.internal:8200',
        auth: appRole({ roleId, secretId }),
      }),
    }),
  ],
  providers: [Orders],
})
class AppModule {
  constructor(@Inject(CredentialsService) readonly credentials: CredentialsService) {}
}

describe('VaultTestingModule', () => {
  let clock: VirtualClock;
  let vault: SimulatedVault;
  let app: TestingModule | undefined;

  beforeEach(() => {
    clock = new VirtualClock();
    vault = new SimulatedVault({ clock });
    vault.databaseRole('orders', { defaultTtl: '1h', maxTtl: '4h' });
    vault.kv().put('orders/api', { key: 'the key' });
    const { roleId, secretId } = vault.appRole('orders', { tokenTtl: '2h', tokenMaxTtl: '24h' });
    Object.assign(role, { roleId, secretId: secretId() });
  });

  afterEach(async () => {
    await app?.close();
    app = undefined;
    vault.assertExpected();
  });

  const start = async () => {
    app = await Test.createTestingModule({ imports: [VaultTestingModule.forRoot({ vault }), AppModule] })
      .setLogger(silent)
      .compile();
    await app.init();
    await clock.settle();
    return app.get(Orders);
  };
  const valid = ({ current }: Orders) =>
    current !== undefined && vault.isValid(current.username.reveal(), current.password.reveal());

  it('serves an unchanged application, with 1 + N requests', async () => {
    const orders = await start();
    expect(orders.key.reveal()).toBe('the key');
    expect(valid(orders)).toBe(true);
    expect(vault.history.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
      'GET /v1/database/creds/orders',
      'GET /v1/secret/data/orders/api',
      'POST /v1/auth/approle/login',
    ]);
  });

  it('passes a week: credentials are valid at every moment, and rotated before their max TTL', async () => {
    const orders = await start();
    for (let hour = 0; hour < 7 * 24 * 2; hour++) {
      await clock.advance(1_800_000);
      expect(valid(orders), `after ${hour / 2} h`).toBe(true);
    }
    expect(orders.users.length).toBeGreaterThan(40);
    expect(vault.liveUsers.length).toBeLessThanOrEqual(2);
    expect(clock.pending).toBe(1);
  });

  it('the application survives a seal of ten minutes', async () => {
    const orders = await start();
    vault.seal();
    await clock.advance(600_000);
    vault.unseal();
    for (let minute = 0; minute < 120; minute++) {
      await clock.advance(60_000);
      expect(valid(orders), `minute ${minute}`).toBe(true);
    }
  });

  it('retries a start in virtual time', async () => {
    vault.seal();
    const starting = start();
    clock.setTimer(4_000, () => vault.unseal());
    const began = performance.now();
    const orders = await clock.until(starting);
    expect(valid(orders)).toBe(true);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(4_000);
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  it('ends all users, leases and tokens of the application with it', async () => {
    await start();
    await clock.until((app as TestingModule).close());
    app = undefined;
    expect([vault.leaseCount, vault.liveUsers, vault.tokenCount]).toEqual([0, [], 1]);
    expect(clock.pending).toBe(0);
  });

  describe('with requests without an answer', () => {
    // A typing error.
    const mistake = () => (app as TestingModule).get(KvService).read('orders/api', { mount: 'secrets' });
    const end = () => clock.until((app as TestingModule).close());

    it('close() rejects once, after everything else is closed, with method and path', async () => {
      vault.policy(
        'orders',
        'path "secret/*" { capabilities = ["read"] } path "database/*" { capabilities = ["read"] }',
      );
      const { roleId, secretId } = vault.appRole('orders', { policies: ['orders'] });
      Object.assign(role, { roleId, secretId: secretId() });
      await start();
      await expect(mistake()).rejects.toMatchObject({ status: 403 });
      await expect(end()).rejects.toThrow('no answer to: GET /v1/secrets/data/orders/api. Set up');
      expect([vault.leaseCount, vault.tokenCount, clock.pending]).toEqual([0, 1, 0]);
      await end();
      // The next application on the same server is not affected.
      await start();
      await end();
      vault.clearHistory();
    });

    it('a cleared history accepts earlier requests, and later ones are reported', async () => {
      await start();
      await expect(mistake()).rejects.toMatchObject({ status: 404 });
      vault.clearHistory();
      await end();
      await start();
      await expect(mistake()).rejects.toMatchObject({ status: 404 });
      vault.clearHistory();
      await expect(mistake()).rejects.toMatchObject({ status: 404 });
      await expect(end()).rejects.toThrow('GET /v1/secrets/data/orders/api');
      vault.clearHistory();
    });
  });

  it.each([
    ['nothing', undefined, /`vault` must be a SimulatedVault/],
    ['something else', { vault: {} }, /`vault` must be a SimulatedVault/],
    ['a wrong name', { vault: new SimulatedVault(), clok: 1 }, /there is no option `clok`/],
  ])('refuses %s', (_what, options, message) => {
    expect(() => VaultTestingModule.forRoot(options as never)).toThrow(message);
    expect(() => VaultTestingModule.forRoot(options as never)).toThrow(VaultError);
  });

  it('uses the given clock instead of that of the server', async () => {
    const other = new VirtualClock();
    app = await Test.createTestingModule({
      imports: [VaultTestingModule.forRoot({ vault, clock: other }), AppModule],
    })
      .setLogger(silent)
      .compile();
    expect([clock.pending, other.pending]).toEqual([0, 1]);
  });
});
