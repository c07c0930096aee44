import { once } from 'node:events';
import { get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  Controller,
  Get,
  Module,
  type BeforeApplicationShutdown,
  type INestApplication,
} from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { appRole, CredentialsService, getCredentialsToken, KvService, VaultModule } from 'nestjs-vault';
import {
  VaultHealthIndicator,
  type VaultLivenessOptions,
  type VaultReadinessOptions,
  type VaultStartupOptions,
} from 'nestjs-vault/terminus';
import { fixedCredentials } from 'nestjs-vault/testing';
import { LazyModuleLoader } from '@nestjs/core';
import { firstValueFrom } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rotating } from '../unit/integrations/rotating.js';
import { SimulatedApplication } from '../support/simulated-application.js';

const MINUTE = 60_000;
const PATH = 'database/creds/orders';

/** What the routes pass to the checks; a test may set it before it asks. */
let options: { start?: VaultStartupOptions; ready?: VaultReadinessOptions; live?: VaultLivenessOptions };
/** The shutdown waits for it while the server still answers. */
let beforeShutdown: () => Promise<void>;

@Controller('health')
class HealthController implements BeforeApplicationShutdown {
  constructor(
    private readonly health: HealthCheckService,
    private readonly vault: VaultHealthIndicator,
  ) {}

  @Get('started')
  @HealthCheck()
  started() {
    return this.health.check([() => this.vault.checkStartup('vault', options.start)]);
  }

  @Get('ready')
  @HealthCheck()
  ready() {
    return this.health.check([() => this.vault.checkReadiness('vault', options.ready)]);
  }

  @Get('live')
  @HealthCheck()
  live() {
    return this.health.check([() => this.vault.checkLiveness('vault', options.live)]);
  }

  beforeApplicationShutdown() {
    return beforeShutdown();
  }
}

@Module({
  imports: [TerminusModule.forRoot({ logger: false })],
  controllers: [HealthController],
  providers: [VaultHealthIndicator],
})
class HealthModule {}

let sim: SimulatedApplication;
let app: INestApplication;

beforeEach(() => {
  sim = new SimulatedApplication();
  options = {};
  beforeShutdown = () => Promise.resolve();
  sim.vault.databaseRole('orders', { defaultTtl: '1h', maxTtl: '24h' });
  sim.vault.kv().put('payments', { key: 'canary-payments' });
  sim.apps.guard('canary-payments');
});
afterEach(() => sim.clock.until(sim.apps.finish()));

async function start(...args: [Parameters<SimulatedApplication['imports']>[0]?]): Promise<void> {
  const testing = await sim.start({ imports: [HealthModule] }, undefined, args[0]);
  app = testing.createNestApplication({ logger: false });
  await app.listen(0, '127.0.0.1');
}

interface Probe {
  http: number;
  status: string;
  vault: { status: string; connections: Record<string, object> };
}

/** One probe, as an orchestrator sends it. Its answer is searched for secrets at the end of the test. */
async function probe(route: 'started' | 'ready' | 'live'): Promise<Probe> {
  const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
  // Without keep-alive, so that no connection of a probe delays the end of the server.
  const request = get({ port, host: '127.0.0.1', path: `/health/${route}`, agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const text = (await response.setEncoding('utf8').toArray()).join('');
  sim.apps.note(text);
  const { status, details } = JSON.parse(text) as { status: string; details: { vault: Probe['vault'] } };
  return { http: response.statusCode ?? 0, status, vault: details?.vault };
}

/** The three probes: their HTTP statuses, and the connection in the answer to the readiness probe. */
async function probes() {
  const [started, ready, live] = [await probe('started'), await probe('ready'), await probe('live')];
  return { http: [started.http, ready.http, live.http], ...ready.vault.connections['default'] };
}

const use = () => firstValueFrom(app.get(CredentialsService).database('orders'));

describe('each situation, by its three probes: startup, readiness, liveness', () => {
  it('everything is valid: the least time that is left, in seconds', async () => {
    await start();
    const { username, password } = await use();
    sim.apps.guard(username.reveal(), password.reveal());
    expect(await probes()).toEqual({ http: [200, 200, 200], state: 'up', secondsLeft: 3_600 });
    await sim.clock.advance(10 * MINUTE);
    expect(await probes()).toEqual({ http: [200, 200, 200], state: 'up', secondsLeft: 3_000 });
    expect(await probe('ready')).toMatchObject({ status: 'ok', vault: { status: 'up' } });
    expect((await probe('live')).vault).toEqual({ status: 'up', connections: { default: { state: 'up' } } });
  });

  it('the start is not over: Nest does not listen yet; whoever has the indicator gets `starting`', async () => {
    sim.vault.seal();
    let early: VaultHealthIndicator | undefined;
    const provider = {
      provide: 'EARLY',
      inject: [VaultHealthIndicator],
      useFactory: (indicator: VaultHealthIndicator) => void (early = indicator),
    };
    const imports = [TerminusModule.forRoot({ logger: false })];
    const starting = sim.start({ imports, providers: [VaultHealthIndicator, provider] });
    await sim.clock.advance(1_000);
    const connections = { default: { state: 'down', reason: 'starting' } };
    expect(early?.checkStartup('vault')).toEqual({ vault: { status: 'down', connections } });
    expect(early?.checkReadiness('vault')).toEqual({ vault: { status: 'down', connections } });
    expect(early?.checkLiveness('vault')).toMatchObject({ vault: { status: 'up' } });
    sim.vault.unseal();
    await sim.clock.until(starting);
    expect(early?.checkStartup('vault')).toMatchObject({ vault: { status: 'up' } });
  });

  it('a deferred login that nothing has needed yet keeps no traffic away', async () => {
    await start({ startup: { login: 'deferred' } });
    expect(await probes()).toEqual({ http: [200, 200, 200], state: 'up' });
    expect(sim.vault.count()).toBe(0);
    // A request that fails is no reason to send no more of them: only they log in.
    sim.vault.seal();
    await expect(sim.clock.until(app.get(KvService).read('payments'))).rejects.toMatchObject({
      code: 'VAULT_SEALED',
    });
    expect(await probes()).toEqual({ http: [200, 200, 200], state: 'degraded', error: 'VAULT_SEALED' });
  });

  it('a deferred login whose first credentials do not come: neither started nor ready until they are there', async () => {
    sim.vault.seal();
    await start({ startup: { login: 'deferred' } });
    const first = use();
    await sim.clock.advance(MINUTE);
    expect(await probes()).toEqual({
      http: [503, 503, 200],
      state: 'down',
      reason: 'pending',
      error: 'VAULT_SEALED',
    });
    expect(await probe('started')).toMatchObject({
      vault: { connections: { default: { state: 'down', reason: 'pending', error: 'VAULT_SEALED' } } },
    });
    sim.vault.unseal();
    await sim.clock.until(first);
    expect(await probes()).toMatchObject({ http: [200, 200, 200], state: 'up' });
  });

  it('an outage that the credentials outlive: degraded, which is ready', async () => {
    await start();
    await use();
    sim.vault.seal();
    // The renewal is due after two thirds.
    await sim.clock.advance(50 * MINUTE);
    const outage = await probes();
    expect(outage).toMatchObject({ http: [200, 200, 200], state: 'degraded', error: 'VAULT_SEALED' });
    expect(await probe('ready')).toMatchObject({ status: 'degraded', vault: { status: 'degraded' } });
    sim.vault.unseal();
    await sim.clock.advance(5 * MINUTE);
    expect(await probes()).toMatchObject({ http: [200, 200, 200], state: 'up' });
  });

  it('an outage that is longer: not ready, still live, and ready after it', async () => {
    await start();
    await use();
    sim.vault.seal();
    await sim.clock.advance(61 * MINUTE);
    expect(await probes()).toEqual({
      http: [200, 503, 200],
      state: 'down',
      reason: 'expired',
      error: 'VAULT_SEALED',
      secondsLeft: 0,
    });
    sim.vault.unseal();
    await sim.clock.advance(5 * MINUTE);
    expect(await probes()).toMatchObject({ http: [200, 200, 200], state: 'up' });
  });

  it('a lease that was revoked is replaced at its next renewal, and keeps no traffic away', async () => {
    await start();
    await use();
    sim.vault.revokeLease(PATH);
    const seen = new Set<string>();
    for (let minute = 0; minute < 60; minute++) {
      await sim.clock.advance(MINUTE);
      seen.add(String((await probes()).http));
    }
    expect([...seen]).toEqual(['200,200,200']);
    expect(app.get(CredentialsService).recentEvents.map(({ type }) => type)).toContain('rotated');
  });

  it('a token that was revoked, and a login that is refused: not ready, and not live only if asked for', async () => {
    await start();
    await use();
    sim.vault.answer(400, { errors: ['invalid role or secret ID'] }, { match: /approle\/login/ });
    sim.vault.revokeAllTokens();
    await sim.clock.advance(50 * MINUTE);
    expect(await probes()).toMatchObject({
      http: [200, 503, 200],
      reason: 'expired',
      error: 'VAULT_LOGIN_INPUT_INVALID',
      secondsLeft: 0,
    });
    options.live = { loginRefusedFor: 10 * MINUTE };
    expect((await probe('live')).http).toBe(200);
    await sim.clock.advance(11 * MINUTE);
    expect(await probe('live')).toMatchObject({
      http: 503,
      vault: {
        connections: {
          default: { state: 'down', reason: 'login-refused', error: 'VAULT_LOGIN_INPUT_INVALID' },
        },
      },
    });
    sim.vault.clearFaults();
    await sim.clock.advance(30 * MINUTE);
    expect(await probes()).toMatchObject({ http: [200, 200, 200], state: 'up' });
  });

  it('an outage never counts as a refused login', async () => {
    options.live = { loginRefusedFor: 0 };
    const role = sim.vault.appRole('short', { tokenTtl: '1h', tokenMaxTtl: '1h' });
    await start({ auth: appRole({ roleId: role.roleId, secretId: role.secretId() }) });
    sim.vault.seal();
    await sim.clock.advance(90 * MINUTE);
    expect(await probes()).toMatchObject({ http: [200, 503, 200], reason: 'expired', error: 'VAULT_SEALED' });
  });

  it('a watched secret that is gone', async () => {
    await start();
    app.get(KvService).watch('payments', { every: MINUTE }).subscribe();
    await sim.clock.advance(MINUTE);
    expect(await probes()).toMatchObject({ http: [200, 200, 200], state: 'up' });
    sim.vault.kv().delete('payments');
    await sim.clock.advance(2 * MINUTE);
    expect(await probes()).toMatchObject({
      http: [200, 503, 200],
      reason: 'gone',
      error: 'VAULT_SECRET_DELETED',
    });
    sim.vault.kv().put('payments', { key: 'canary-payments' });
    await sim.clock.advance(2 * MINUTE);
    expect(await probes()).toMatchObject({ http: [200, 200, 200], state: 'up' });
  });

  it('a database that rejects each user of a pool for longer than 30 s', async () => {
    await start();
    const denied = Object.assign(new Error('canary of a driver'), { code: '28P01' });
    let rejects = true;
    const credentials$ = app.get(CredentialsService).database('orders');
    const { rotation } = rotating(
      {
        verify: () => (rejects ? Promise.reject(denied) : Promise.resolve()),
        isLoginRejected: (error) => error === denied,
      },
      { credentials$ },
    );
    rotation.loginFailed(await rotation.ready(), denied);
    await sim.clock.advance(29_000);
    expect(await probes()).toMatchObject({ http: [200, 200, 200] });
    await sim.clock.advance(2_000);
    expect(await probes()).toMatchObject({ http: [200, 503, 200], state: 'down', reason: 'pool-rejected' });
    options.ready = { poolRejectedFor: Infinity };
    expect((await probes()).http).toEqual([200, 200, 200]);
    options.ready = {};
    rejects = false;
    await sim.clock.advance(MINUTE);
    expect(await probes()).toMatchObject({ http: [200, 200, 200], state: 'up' });
    rotation.end();
  });

  it('draining: not ready from the begin of the shutdown on, also without Terminus, and no probe at the end', async () => {
    await start();
    await use();
    const indicator = app.get(VaultHealthIndicator);
    let go = () => {};
    const waiting = new Promise<void>((reached) => {
      beforeShutdown = () => {
        // Only once: the end of the test closes again.
        beforeShutdown = () => Promise.resolve();
        reached();
        return new Promise((resolve) => (go = resolve));
      };
    });
    const closing = app.close();
    await waiting;
    expect((await probe('ready')).http).toBe(503);
    expect(indicator.checkReadiness('vault')).toMatchObject({
      vault: { status: 'down', connections: { default: { state: 'down', reason: 'draining' } } },
    });
    expect(indicator.checkStartup('vault')).toMatchObject({ vault: { status: 'up' } });
    expect(indicator.checkLiveness('vault')).toMatchObject({ vault: { status: 'up' } });
    const { connections } = await firstValueFrom(app.get(CredentialsService).status$);
    expect(connections).toMatchObject([{ shutdown: 'draining', health: 'up' }]);
    go();
    await sim.clock.until(closing);
    await expect(probe('ready')).rejects.toThrow();
    expect(indicator.checkReadiness('vault')).toMatchObject({
      vault: { status: 'down', connections: { default: { reason: 'closed' } } },
    });
    expect(indicator.checkLiveness('vault')).toMatchObject({ vault: { status: 'up' } });
  });
});

describe('options', () => {
  it('minimumTimeLeft: not ready before the end of a credential whose renewal fails; otherwise it is planned', async () => {
    options.ready = { minimumTimeLeft: 30 * MINUTE };
    await start();
    await use();
    // The renewal is due soon, and less than half an hour is left.
    await sim.clock.advance(35 * MINUTE);
    expect(await probes()).toMatchObject({ state: 'up', secondsLeft: 1_500 });
    sim.vault.seal();
    await sim.clock.advance(10 * MINUTE);
    expect(await probes()).toMatchObject({
      http: [200, 503, 200],
      reason: 'ends-soon',
      error: 'VAULT_SEALED',
    });
    options.ready = { minimumTimeLeft: 10 * MINUTE };
    expect(await probes()).toMatchObject({ http: [200, 200, 200], state: 'degraded' });
  });

  it('paths: only these matter, and one that nothing has requested is missing', async () => {
    await start();
    await use();
    app.get(KvService).watch('payments', { every: MINUTE }).subscribe();
    await sim.clock.advance(MINUTE);
    sim.vault.kv().delete('payments');
    await sim.clock.advance(2 * MINUTE);
    for (const [paths, http] of [
      [[PATH], [200, 200, 200]],
      [['secret/payments'], [200, 503, 200]],
      [[], [200, 200, 200]],
      [['database/creds/odrers'], [503, 503, 200]],
    ] as const) {
      options = { start: { paths }, ready: { paths } };
      expect((await probes()).http, String(paths)).toEqual(http);
    }
    options = { start: {}, ready: { paths: [PATH, 'secret/payments'], showPaths: true } };
    expect(await probes()).toMatchObject({
      paths: [
        { path: PATH, state: 'valid', secondsLeft: 3_420 },
        { path: 'secret/payments', state: 'gone' },
      ],
    });
    options.ready = {};
    expect(JSON.stringify(await probe('ready'))).not.toMatch(/orders|payments/);
  });

  it.each([
    ['an unknown option', { minimumTime: 1 }, 'VAULT_CONFIG_INVALID', /has no option `minimumTime`/],
    ['a wrong type', { minimumTimeLeft: '1m' }, 'VAULT_CONFIG_INVALID', /minimumTimeLeft` must be a number/],
    [
      'no number',
      { poolRejectedFor: Number('30s') },
      'VAULT_CONFIG_INVALID',
      /poolRejectedFor` must be a number/,
    ],
    ['one path as a text', { paths: PATH }, 'VAULT_CONFIG_INVALID', /paths` must be an array of strings/],
    ['an invalid path', { paths: ['v1/secret/a'] }, 'VAULT_PATH_INVALID', /v1/],
    ['an unknown connection', { connection: 'other' }, 'VAULT_CONNECTION_UNKNOWN', /"other"/],
  ])('%s is refused, and the probe is answered with 500', async (_, given, code, message) => {
    await start();
    options.ready = given as VaultReadinessOptions;
    const check = () => app.get(VaultHealthIndicator).checkReadiness('vault', options.ready);
    expect(check).toThrow(message);
    expect(check).toThrow(expect.objectContaining({ code }));
    expect((await probe('ready')).http).toBe(500);
  });
});

describe('modules', () => {
  const second = () => {
    const role = sim.vault.appRole('second', { tokenTtl: 60, tokenMaxTtl: 60 });
    const auth = appRole({ roleId: role.roleId, secretId: role.secretId() });
    return VaultModule.forRoot({ name: 'second', address: 'http://vault.test', auth });
  };

  it('several connections: all, or one by its name', async () => {
    const testing = await sim.start({ imports: [HealthModule, second()] });
    const indicator = testing.get(VaultHealthIndicator);
    expect(Object.keys(indicator.checkReadiness('vault').vault['connections'])).toEqual([
      'default',
      'second',
    ]);
    sim.vault.seal();
    await sim.clock.advance(2 * MINUTE);
    const state = (connection?: string) =>
      indicator.checkReadiness('vault', connection ? { connection } : {}).vault.status;
    expect([state(), state('default'), state('second')]).toEqual(['down', 'up', 'down']);
  });

  it('a connection of a lazy module counts from its load on', async () => {
    const testing = await sim.start({ imports: [HealthModule] });
    const indicator = testing.get(VaultHealthIndicator);
    const names = () => Object.keys(indicator.checkReadiness('vault').vault['connections']);
    expect(names()).toEqual(['default']);
    await sim.clock.until(testing.get(LazyModuleLoader).load(() => second()));
    expect(names()).toEqual(['default', 'second']);
  });

  it('the indicator itself may be in a lazy module', async () => {
    const testing = await sim.start({});
    const lazy = await testing.get(LazyModuleLoader).load(() => HealthModule);
    expect(lazy.get(VaultHealthIndicator).checkReadiness('vault').vault.status).toBe('up');
  });

  it('without VaultModule: an error that names the remedy', async () => {
    const testing = await sim.apps.start({ imports: [HealthModule] });
    const check = () => testing.get(VaultHealthIndicator).checkReadiness('vault');
    expect(check).toThrow(/VaultModule\.forRoot/);
    expect(check).toThrow(expect.objectContaining({ code: 'VAULT_CONNECTION_UNKNOWN' }));
  });

  it('under overrideProvider, credentials of a test count as no lease, and the indicator can be replaced', async () => {
    const given = fixedCredentials({ username: 'test', password: 'canary-test-password' });
    const testing = await sim.start({ imports: [HealthModule] }, (builder) =>
      builder.overrideProvider(getCredentialsToken('orders')).useValue(given),
    );
    expect(testing.get(VaultHealthIndicator).checkReadiness('vault').vault.status).toBe('up');
    expect(sim.reads).toEqual([]);
    const fake = { checkReadiness: () => ({ vault: { status: 'down' } }) };
    const faked = await sim.start({ imports: [HealthModule] }, (builder) =>
      builder.overrideProvider(VaultHealthIndicator).useValue(fake),
    );
    expect(faked.get(VaultHealthIndicator)).toBe(fake);
  });
});

it('no probe sends a request, and one costs microseconds', async () => {
  await start();
  await use();
  const indicator = app.get(VaultHealthIndicator);
  const before = sim.vault.count();
  const began = performance.now();
  for (let index = 0; index < 1_000; index++) indicator.checkReadiness('vault');
  expect((performance.now() - began) / 1_000).toBeLessThan(1);
  expect(sim.vault.count()).toBe(before);
});
