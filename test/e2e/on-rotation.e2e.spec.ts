import { Controller, Inject, Injectable, Module, Optional, Scope } from '@nestjs/common';
import { LazyModuleLoader, ModuleRef, ModulesContainer } from '@nestjs/core';
import {
  CredentialsService,
  getCredentialsToken,
  InjectCredentials,
  InjectSecret,
  OnRotation,
  VaultError,
  VaultModule,
  type Credentials,
  type DatabaseCredentials,
  type Secret,
} from 'nestjs-vault';
import { fixedCredentials } from 'nestjs-vault/testing';
import type { Observable } from 'rxjs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { linkOf } from '../../lib/leases/connection-link.js';
import { SimulatedApplication } from '../support/simulated-application.js';

const HOUR = 3_600_000;
let sim: SimulatedApplication;
/** Names of the calls, in order. */
let calls: string[];

beforeEach(() => {
  sim = new SimulatedApplication();
  calls = [];
  sim.vault.databaseRole('orders', { defaultTtl: '1h', maxTtl: '2h' });
  sim.vault.kv().put('mail', { password: 'canary-mail-1' });
  sim.apps.guard('canary-mail-1', 'canary-mail-2', 'canary-thrown');
});

afterEach(() => sim.clock.until(sim.apps.finish()));

const userOf = ({ username }: DatabaseCredentials) => username.reveal();
/** Advances in steps, so that timers and promises run in between. */
const pass = async (hours: number) => {
  for (let minute = 0; minute < hours * 60; minute += 10) await sim.clock.advance(HOUR / 6);
};
const rotations = (app: { get: (type: typeof CredentialsService) => CredentialsService }) =>
  app.get(CredentialsService).recentEvents.filter(({ type }) => type === 'rotated').length;

it('credentials: called once for each rotation, with what all subscribers have by then', async () => {
  @Injectable()
  class Host {
    current = '';
    readonly seen: [string, string][] = [];

    constructor(@InjectCredentials('orders') readonly orders$: Observable<DatabaseCredentials>) {}

    // Subscribes later than the method.
    onApplicationBootstrap() {
      this.orders$.subscribe((credentials) => (this.current = userOf(credentials)));
    }

    @OnRotation('orders')
    rotated(credentials: DatabaseCredentials) {
      this.seen.push([userOf(credentials), this.current]);
    }
  }
  const app = await sim.start({ providers: [Host] });
  const host = app.get(Host);
  await pass(0.5);
  expect(host.seen).toEqual([]);
  await pass(10);
  expect(host.seen.length).toBeGreaterThan(4);
  expect(host.seen.length).toBe(rotations(app));
  expect(new Set(host.seen.map(([user]) => user)).size).toBe(host.seen.length);
  for (const [user, current] of host.seen) expect(current).toBe(user);
  expect(Object.getOwnPropertySymbols(host)).toEqual([]);
});

it('a path with parameters, and a live secret', async () => {
  sim.vault.leasedSecret('aws/creds/deploy', {
    ttl: '1h',
    maxTtl: '2h',
    data: () => ({ key: String(calls.length) }),
  });
  const target = { path: 'aws/creds/deploy', parameters: { ttl: '1h' } };
  @Injectable()
  class Host {
    @OnRotation(target)
    keys({ data }: Credentials<{ key: string }>) {
      calls.push(`key ${data.reveal().key}`);
    }

    @OnRotation({ secret: 'mail' }, { key: 'password' })
    mail(password: Secret) {
      calls.push(password.reveal());
    }
  }
  await sim.start({ providers: [Host] });
  expect(sim.reads).toEqual(['GET /v1/secret/data/mail', 'POST /v1/aws/creds/deploy']);
  sim.vault.kv().put('mail', { password: 'canary-mail-2' });
  await pass(0.2);
  expect(calls).toEqual(['canary-mail-2']);
  await pass(2);
  expect(calls).toContain('key 1');
  expect(calls.filter((call) => call === 'canary-mail-2')).toHaveLength(1);
});

it('waits for the pools that use the previous credentials', async () => {
  @Injectable()
  class Host {
    current: DatabaseCredentials | undefined;

    constructor(@InjectCredentials('orders') orders$: Observable<DatabaseCredentials>) {
      orders$.subscribe((credentials) => (this.current = credentials));
    }

    @OnRotation('orders')
    rotated() {
      calls.push('rotated');
    }
  }
  const app = await sim.start({ providers: [Host] });
  const lease = app.get(Host).current?.lease as object;
  const pool = {
    driver: 'pg',
    path: 'database/creds/orders',
    serial: 1,
    connections: 1,
    superseded: 0,
    drains: [],
  };
  const link = linkOf(lease);
  link?.addPool(() => ({ ...pool, counters: {} }) as never);
  await pass(2);
  expect(rotations(app)).toBeGreaterThan(0);
  // The database has not accepted the new user yet.
  expect(calls).toEqual([]);
  pool.serial = app.get(Host).current?.lease.serial ?? 0;
  link?.poolChanged();
  await sim.clock.settle();
  expect(calls).toEqual(['rotated']);
});

it('runs one call at a time; rotations meanwhile are one call, with the newest value', async () => {
  let goOn: () => void = () => undefined;
  @Injectable()
  class Host {
    @OnRotation('orders')
    async rotated(credentials: DatabaseCredentials) {
      calls.push(userOf(credentials));
      await new Promise<void>((resolve) => (goOn = resolve));
    }
  }
  const app = await sim.start({ providers: [Host] });
  await pass(8);
  expect(rotations(app)).toBeGreaterThan(3);
  expect(calls).toHaveLength(1);
  expect(
    sim.apps.log.split('Host.rotated (@OnRotation of database/creds/orders) has not ended'),
  ).toHaveLength(2);
  expect(sim.apps.log).toContain('"code":"rotation-method-late"');
  goOn();
  await sim.clock.settle();
  const newest = await app.get(CredentialsService).getDatabase('orders');
  expect(calls).toHaveLength(2);
  expect(calls[1]).toBe(userOf(newest));
  goOn();
});

it('errors are logged without their text, and the next rotation is called', async () => {
  const unhandled = vi.fn();
  process.on('unhandledRejection', unhandled);
  @Injectable()
  class Host {
    @OnRotation('orders')
    throws() {
      calls.push('throws');
      throw new TypeError('canary-thrown');
    }

    @OnRotation('orders')
    async rejects() {
      calls.push('rejects');
      await Promise.reject(
        new VaultError({ code: 'VAULT_SEALED', message: 'The server is sealed.', hint: 'Unseal it.' }),
      );
    }
  }
  try {
    await sim.start({ providers: [Host] });
    await pass(4);
    expect(calls.filter((call) => call === 'throws').length).toBeGreaterThan(1);
    expect(calls.filter((call) => call === 'rejects').length).toBeGreaterThan(1);
    expect(sim.apps.log).toMatch(
      /Host.throws \(@OnRotation of database\/creds\/orders\) failed: TypeError.*"rotation-method-failed"/,
    );
    expect(sim.apps.log).toContain(
      'Host.rejects (@OnRotation of database/creds/orders) failed: The server is sealed.',
    );
    expect(unhandled).not.toHaveBeenCalled();
  } finally {
    process.off('unhandledRejection', unhandled);
  }
});

it('in subclasses, controllers, modules and feature modules', async () => {
  abstract class Base {
    @OnRotation('orders')
    inherited() {
      calls.push(`${this.constructor.name}.inherited`);
    }

    @OnRotation('orders')
    overridden() {
      calls.push('Base.overridden');
    }
  }
  @Injectable()
  class Plain extends Base {}
  @Injectable()
  class Extended extends Base {
    @InjectSecret('mail') readonly mail!: Secret;

    @OnRotation('orders')
    override overridden() {
      calls.push('Extended.overridden');
    }

    @OnRotation('orders')
    own() {
      calls.push('Extended.own');
    }
  }
  @Controller('feature')
  class FeatureController {
    @OnRotation('orders')
    rotated() {
      calls.push('controller');
    }
  }
  @Module({ providers: [Plain, Extended], controllers: [FeatureController] })
  class FeatureModule {
    @OnRotation('orders')
    rotated() {
      calls.push('module');
    }
  }
  await sim.start({ imports: [FeatureModule] });
  await pass(2);
  expect(calls.sort()).toEqual([
    'Base.overridden',
    'Extended.inherited',
    'Extended.overridden',
    'Extended.own',
    'Plain.inherited',
    'controller',
    'module',
  ]);
});

it('an override with another target replaces the one of the base class', async () => {
  sim.vault.databaseRole('reports', { defaultTtl: '1h', maxTtl: '2h' });
  class Base {
    @OnRotation('orders')
    rotated(credentials: DatabaseCredentials) {
      calls.push(credentials.lease.path);
    }
  }
  @Injectable()
  class Extended extends Base {
    @OnRotation('reports')
    override rotated(credentials: DatabaseCredentials) {
      calls.push(credentials.lease.path);
    }
  }
  @Injectable()
  class Plain extends Base {}
  await sim.start({ providers: [Extended, Plain] });
  await pass(2);
  expect(calls.sort()).toEqual(['database/creds/orders', 'database/creds/reports']);
});

it('methods that are named by symbols of the same description', async () => {
  const one = Symbol('rotated');
  const other = Symbol('rotated');
  @Injectable()
  class Host {
    @OnRotation('orders')
    [one]() {
      calls.push('one');
    }

    @OnRotation('orders')
    [other]() {
      calls.push('other');
    }
  }
  await sim.start({ providers: [Host] });
  await pass(2);
  expect(calls.sort()).toEqual(['one', 'other']);
});

it('in lazy modules and objects of ModuleRef.create, from then on', async () => {
  @Injectable()
  class Lazy {
    @OnRotation('orders')
    rotated() {
      calls.push('lazy');
    }
  }
  @Module({ imports: [VaultModule.forFeature({ credentials: ['orders'] })], providers: [Lazy] })
  class LazyModule {}
  @Injectable()
  class Loose {
    @OnRotation('orders')
    rotated() {
      calls.push('loose');
    }
  }
  const app = await sim.start({});
  await sim.clock.until(app.get(LazyModuleLoader).load(() => LazyModule));
  const loose = await sim.clock.until(app.get(ModuleRef).create(Loose));
  await sim.clock.settle();
  expect(calls).toEqual([]);
  await pass(2);
  expect(calls.sort()).toEqual(['lazy', 'loose']);
  expect(loose).toBeDefined();
});

it('request-scoped and transient hosts: not called, and a warning names them', async () => {
  @Injectable({ scope: Scope.REQUEST })
  class PerRequest {
    @OnRotation('orders')
    rotated() {
      calls.push('request');
    }
  }
  @Injectable()
  class DependsOnRequest {
    constructor(@Inject(PerRequest) readonly one: PerRequest) {}

    @OnRotation('orders')
    rotated() {
      calls.push('depends');
    }
  }
  @Injectable({ scope: Scope.TRANSIENT })
  class Transient {
    @OnRotation('orders')
    rotated() {
      calls.push('transient');
    }
  }
  @Injectable()
  class Singleton {
    constructor(@Inject(Transient) readonly transient: Transient) {}

    @OnRotation('orders')
    rotated() {
      calls.push('singleton');
    }
  }
  const app = await sim.start({ providers: [PerRequest, DependsOnRequest, Transient, Singleton] });
  const scans = vi.spyOn(app.get(ModulesContainer), 'values');
  await app.resolve(PerRequest);
  // The start has found it: an object per request needs no search of all modules.
  expect(scans).not.toHaveBeenCalled();
  scans.mockRestore();
  await app.resolve(DependsOnRequest);
  await app.resolve(Transient);
  await pass(2);
  expect(calls).toEqual(['singleton']);
  for (const { name } of [PerRequest, DependsOnRequest, Transient])
    expect(sim.apps.log.split(`The methods of ${name} with @OnRotation are not called`)).toHaveLength(2);
  expect(sim.apps.log).not.toContain('methods of Singleton');
  expect(sim.apps.log).toContain('"code":"rotation-method-scoped"');
});

it('after overrideProvider it follows the replacement', async () => {
  @Injectable()
  class Host {
    @OnRotation('orders')
    rotated(credentials: DatabaseCredentials) {
      calls.push(userOf(credentials));
    }
  }
  const fixed$ = fixedCredentials({ username: 'ci', password: 'ci-password' });
  await sim.start({ providers: [Host] }, (builder) =>
    builder.overrideProvider(getCredentialsToken('orders')).useValue(fixed$),
  );
  fixed$.next(fixedCredentials({ username: 'ci2', password: 'ci2-password' }).value);
  await sim.clock.settle();
  expect(calls).toEqual(['ci2']);
  expect(sim.reads).toEqual([]);
  fixed$.complete();

  await sim.start({ providers: [Host] }, (builder) =>
    builder.overrideProvider(getCredentialsToken('orders')).useValue('anything'),
  );
});

it('a rotation during the start is called after it; none is called after the shutdown', async () => {
  @Injectable()
  class Slow {
    async onModuleInit() {
      await pass(2);
      calls.push('started');
    }
  }
  @Injectable()
  class Host {
    @OnRotation('orders')
    rotated() {
      calls.push('rotated');
    }
  }
  const app = await sim.start({ providers: [Host, Slow] });
  expect(calls).toEqual(['started', 'rotated']);
  await app.close();
  await pass(2);
  expect(calls).toEqual(['started', 'rotated']);
  expect(sim.clock.pending).toBe(0);
});

it('needs its secret, unless an injection says that it is optional', async () => {
  @Injectable()
  class Host {
    @OnRotation({ secret: 'nowhere' })
    rotated() {}
  }
  @Injectable()
  class Other {
    @Optional() @InjectSecret('nowhere', { watch: true }) readonly secret$?: Observable<Secret>;
  }
  const error = await sim.startError({ providers: [Host] });
  expect(error).toMatchObject({ code: 'VAULT_SECRET_NOT_FOUND' });
  const app = await sim.start({ providers: [Host, Other] });
  expect(app.get(Other).secret$).toBeUndefined();
});

it('with a deferred login it is a use; a first failure is logged, and a later success is followed', async () => {
  @Injectable()
  class Host {
    @OnRotation('later')
    rotated() {
      calls.push('rotated');
    }
  }
  const app = await sim.start({ providers: [Host] }, undefined, { startup: { login: 'deferred' } });
  await sim.clock.advance(1_000);
  for (const mount of ['one', 'two']) {
    sim.vault.leasedSecret(`${mount}/creds/x`, { ttl: '1h', maxTtl: '2h', data: () => ({ key: mount }) });
    await sim.clock.until(app.get(CredentialsService).get(`${mount}/creds/x`));
    await sim.clock.advance(60_000);
  }
  // Each issue is another attempt; the same failure is logged once.
  expect(sim.vault.count(/later/)).toBeGreaterThan(2);
  expect(sim.apps.log.split('is not called, because the first value could not be read')).toHaveLength(2);
  expect(sim.apps.log).toContain('"code":"rotation-method-unread"');
  sim.vault.databaseRole('later', { defaultTtl: '1h', maxTtl: '2h' });
  await sim.clock.until(app.get(CredentialsService).getDatabase('later'));
  await pass(2);
  expect(calls).toEqual(['rotated']);
});

it('is refused on a static method, and with an invalid name', () => {
  expect(() => {
    class Host {
      @OnRotation('orders')
      static rotated() {}
    }
    return Host;
  }).toThrow(expect.objectContaining({ code: 'VAULT_CONFIG_INVALID' }));
  expect(() => OnRotation('a/b')).toThrow(expect.objectContaining({ code: 'VAULT_PATH_INVALID' }));
});
