import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Logger, Module } from '@nestjs/common';
import { HealthCheckService, TerminusModule } from '@nestjs/terminus';
import type { TestingModule } from '@nestjs/testing';
import { firstValueFrom } from 'rxjs';
import {
  appRole,
  CredentialsService,
  fromEnv,
  fromFile,
  fromWrappedToken,
  getVaultToken,
  InjectCredentials,
  InjectSecret,
  KvService,
  Secret,
  token,
  VaultClient,
  VaultError,
  VaultModule,
  type VaultEvent,
  type VaultOptions,
} from 'nestjs-vault';
import { rotatingAwsCredentials } from 'nestjs-vault/aws';
import { VaultHealthIndicator } from 'nestjs-vault/terminus';
import { systemClock } from '../../lib/clock/clock.js';
import { Dashboard } from '../../lib/dashboard/dashboard.js';
import { JsonView, LineView, LiveView } from '../../lib/dashboard/views.js';
import { TerminalScreen } from '../support/terminal-screen.js';
import { SimulatedVault, VaultTestingModule, VirtualClock, type Sender } from 'nestjs-vault/testing';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { VaultConnections } from '../../lib/connection/vault-connections.js';
import { CHANNELS } from '../../lib/events/channels.js';
import { getConnectionToken } from '../../lib/vault.tokens.js';
import { Applications } from '../support/applications.js';
import { failure } from '../support/issued.js';
import { Telemetry } from '../support/telemetry.js';
import { Authority, encryptKey, opensslAvailable } from '../support/certificates.js';
import { Audit } from './audit.js';

const lib = fileURLToPath(new URL('../../lib', import.meta.url));
const ENTRY_POINTS = readdirSync(lib, { recursive: true, encoding: 'utf8' }).filter((file) =>
  /^((integrations.)?[\w-]+.)?index\.ts$/.test(file),
);

const PASSPHRASE = 'canary-passphrase-of-the-key';
const [KV, STATIC] = ['canary-in-a-kv-secret', 'canary-in-an-injected-secret'];
const [AWS_SECRET, AWS_TOKEN] = ['canary-secret-access-key', 'canary-session-token'];

class Consumer {
  @InjectCredentials('app') readonly credentials$!: unknown;
  @InjectSecret('injected') readonly secret!: Secret<unknown>;
}

describe('no printer shows a secret of the package itself', () => {
  const audit = new Audit('nestjs-vault');
  const apps = new Applications();
  let seen = 0;

  afterEach(() => apps.finish());
  afterAll(() => audit.count());

  /** The search includes every token and secret_id sent to this server. */
  const guarded = (vault: SimulatedVault): SimulatedVault => {
    const sender = vault.transport();
    const send: Sender['send'] = (request) => {
      const sent = request.headers['x-vault-token'] ?? request.headers['X-Vault-Token'];
      if (sent) audit.guard('a token', String(sent));
      const { secret_id } = JSON.parse(request.body ?? '{}') as { secret_id?: string };
      if (secret_id) audit.guard('a secret_id', secret_id);
      seen++;
      return sender.send(request);
    };
    vi.spyOn(vault, 'transport').mockReturnValue({ send, close: () => sender.close() });
    return vault;
  };
  /** An application on a simulated server that has a secret of each kind. */
  const start = async (more: Partial<VaultOptions> = {}) => {
    const vault = guarded(new SimulatedVault());
    vault.databaseRole('app', { ttl: 60, maxTtl: 600 } as never);
    vault.kv('secret').put('app', { value: KV });
    vault.kv('secret').put('injected', { value: STATIC });
    vault.leasedSecret('aws/creds/app', {
      ttl: 60,
      maxTtl: 60,
      data: () => ({ access_key: 'AKIA', secret_key: AWS_SECRET, security_token: AWS_TOKEN }),
    });
    const { roleId, wrappedSecretId, secretId } = vault.appRole('app');
    const wrapping = wrappedSecretId();
    audit.guard('a wrapping token', wrapping);
    const options: VaultOptions = {
      address: 'https://vault.test',
      auth: appRole({ roleId, secretId: fromWrappedToken(wrapping) }),
      startup: { timeout: 0 },
      ...more,
    };
    @Module({
      imports: [
        VaultTestingModule.forRoot({ vault }),
        VaultModule.forRoot(options),
        TerminusModule.forRoot(),
      ],
      providers: [Consumer, VaultHealthIndicator],
    })
    class AppModule {}
    const app = await apps.start({ imports: [AppModule] });
    return { app, vault, secretId };
  };
  const providersOf = (app: TestingModule) => ({
    client: app.get(VaultClient),
    'client by token': app.get<unknown>(getVaultToken()),
    'credentials service': app.get(CredentialsService),
    'KV service': app.get(KvService),
    connections: app.get(VaultConnections),
    connection: app.get<unknown>(getConnectionToken()),
    'injected stream': app.get(Consumer).credentials$,
    'injected secret': app.get(Consumer).secret,
    consumer: app.get(Consumer),
  });
  for (const [name, value] of Object.entries({ PASSPHRASE, KV, STATIC, AWS_SECRET, AWS_TOKEN }))
    audit.guard(name, value);

  it('of all exports of each entry point', async () => {
    const { exports } = createRequire(import.meta.url)('../../package.json') as { exports: object };
    // Not of that form: `./core`, which the audit of the main one covers, and `./package.json`.
    expect(ENTRY_POINTS.length).toBe(Object.keys(exports).length - 2);
    for (const file of ENTRY_POINTS) {
      const exported = (await import(join(lib, file))) as Record<string, unknown>;
      // Wrapped: pino would call a cause that is a function.
      const objects = Object.entries(exported).map(([name, value]) => [`${file}: ${name}`, { value }]);
      audit.printAll(Object.fromEntries(objects) as Record<string, unknown>);
    }
    audit.expectClean();
  });

  it('of methods of authentication, sources and secrets', () => {
    const value = 'canary-given-where-it-is-made';
    audit.guard('a given secret', value);
    audit.printAll({
      'token method': token(value),
      'approle method': appRole({ roleId: 'role', secretId: value }),
      'approle method with a function': appRole({ roleId: 'role', secretId: () => value }),
      'wrapped source': fromWrappedToken(value),
      'misused env source': fromEnv(value),
      'misused file source': fromFile(value),
      secret: new Secret(value),
      'secret of an object': new Secret({ value, nested: [value] }),
      'secrets in containers': {
        map: new Map([['one', new Secret(value)]]),
        set: new Set([new Secret(value)]),
      },
      'dynamic module': VaultModule.forRoot({
        address: 'https://vault.test',
        auth: token(value),
      }),
    });
    audit.expectClean();
  });

  it('of an application: services, connections, snapshots, leases, events, status', async () => {
    const events: VaultEvent[] = [];
    const messages: unknown[] = [];
    const note = (message: unknown) => void messages.push(message);
    for (const { name } of Object.values(CHANNELS)) subscribe(name, note);
    const telemetry = new Telemetry();
    const { app, vault } = await start();
    const credentials = app.get(CredentialsService);
    credentials.events$.subscribe((event) => events.push(event));
    const database = await firstValueFrom(credentials.database('app'));
    audit.guard('a password', database.password.reveal());
    const raw = await firstValueFrom(credentials.watch<Record<string, string>>('database/creds/app'));
    audit.guard('a password', raw.data.reveal()['password'] as string);
    const kvService = app.get(KvService);
    const kv = await kvService.read('app');
    const changed = { value: new Secret(KV) };
    const failure = (call: Promise<unknown>) => call.catch((error: unknown) => error);
    const kvCalls = {
      written: await kvService.write('calls/app', changed),
      patched: await kvService.patch('calls/app', { more: new Secret(KV) }),
      updated: await kvService.update('calls/app', (current) => ({ ...current?.data.reveal(), again: KV })),
      conflict: await failure(kvService.write('calls/app', changed, { cas: 0 })),
      'invalid data': await failure(kvService.write('calls/app', KV as never)),
      'invalid version': await failure(kvService.destroy('calls/app', [KV] as never)),
      'invalid settings': await failure(kvService.writeMetadata('calls/app', { maxVersions: KV as never })),
      'a change that fails': await failure(
        kvService.update('calls/app', () => Promise.reject(new Error('without the value'))),
      ),
      list: await kvService.list('calls'),
      metadata: await kvService.metadata('calls/app'),
      subkeys: await kvService.subkeys('calls/app'),
      'a watched secret': await firstValueFrom(kvService.watch('calls/app')),
      'a watched folder': await firstValueFrom(kvService.watchFolder('calls')),
    };
    await kvService.delete('calls/app');
    const deleted = await failure(kvService.read('calls/app'));
    const answer = await app.get(VaultClient).read('secret/data/app');
    const aws = rotatingAwsCredentials(credentials.watch('aws/creds/app'), { settle: 0 });
    await aws();
    audit.printAll({
      ...providersOf(app),
      'snapshot of a database': database,
      snapshot: raw,
      lease: raw.lease,
      'AWS provider': aws,
      'KV secret': kv,
      'KV calls': kvCalls,
      ...kvCalls,
      'a deleted secret': deleted,
      answer,
      'events until now': credentials.recentEvents,
      status: await firstValueFrom(credentials.status$),
      'status of a lease': credentials.status('database/creds/app'),
    });
    vault.revokeLease('database/creds/app');
    await raw.lease.reportRejected?.({ confirmed: true });
    expect(seen).toBeGreaterThan(5);
    const { instrumentation, spans } = telemetry;
    const metrics = await telemetry.series();
    audit.printAll({ events, 'events after a refusal': credentials.recentEvents });
    audit.printAll({ messages, instrumentation, metrics });
    const shown = spans.map(({ name, attributes, status, events: of }) => ({ name, attributes, status, of }));
    expect([messages.length, spans.length, metrics.length].every((count) => count > 10)).toBe(true);
    audit.printAll({ spans: shown });
    telemetry.end();
    for (const { name } of Object.values(CHANNELS)) unsubscribe(name, note);
    audit.expectClean();
  });

  it('of the answers to probes, with all that they can show, and of what Terminus logs about them', async () => {
    const { app, vault } = await start();
    const indicator = app.get(VaultHealthIndicator);
    const { username, password } = await firstValueFrom(app.get(CredentialsService).database('app'));
    audit.guard('a password', password.reveal());
    audit.guard('a user name', username.reveal());
    app.get(KvService).watch('app').subscribe();
    const check = (name: 'checkStartup' | 'checkReadiness') =>
      app.get(HealthCheckService).check([() => indicator[name]('vault', { showPaths: true })]);
    const answers = async () => ({
      startup: await check('checkStartup').catch((error: unknown) => error),
      readiness: await check('checkReadiness').catch((error: unknown) => error),
      liveness: indicator.checkLiveness('vault', { loginRefusedFor: 0 }),
      'unknown connection': await failure(
        Promise.resolve().then(() => indicator.checkReadiness('vault', { connection: 'other' })),
      ),
    });
    const valid = await answers();
    expect(JSON.stringify(valid)).toContain('database/creds/app');
    audit.printAll({ 'health indicator': indicator, ...valid });
    vault.revokeAllTokens();
    vault.seal();
    await expect(app.get(KvService).read('app')).rejects.toThrow();
    await app.get(CredentialsService).release('database/creds/app');
    audit.printAll(await answers());
    audit.read('log of Terminus', apps.log);
    audit.expectClean();
  });

  it('of the terminal: block, lines and JSON, also in trouble', async () => {
    const { app, vault } = await start();
    const credentials = app.get(CredentialsService);
    const { username, password } = await firstValueFrom(credentials.database('app'));
    audit.guard('a password', password.reveal());
    audit.guard('a user name', username.reveal());
    app.get(KvService).watch('app').subscribe();
    const screen = new TerminalScreen(120);
    const lines: string[] = [];
    const json: string[] = [];
    const views = [
      new LiveView(screen, [], true, 0),
      new LineView((line) => lines.push(line), true, 0),
      new JsonView(
        (line) => json.push(line),
        () => undefined,
      ),
    ];
    const nothing = () => undefined;
    const dashboards = views.map((view) => new Dashboard(credentials, view, systemClock, () => '', nothing));
    await firstValueFrom(credentials.status$);
    vault.revokeAllTokens();
    vault.seal();
    await expect(app.get(KvService).read('app')).rejects.toThrow();
    for (const dashboard of dashboards) dashboard.end();
    for (const text of [screen.shown.join('\n'), lines.join('\n'), json.join('\n')]) {
      expect(text).toContain('database/creds/app');
      audit.read('terminal', text);
    }
    audit.expectClean();
  });

  it('of errors, for any refused value', async () => {
    const { app, vault, secretId } = await start();
    const client = app.get(VaultClient);
    const value = 'canary-in-a-refused-request';
    audit.guard('a value that was refused', value);
    const send = (path: string) => failure(client.write(path, { value }));
    vault.answer(400, { errors: [`echo of ${value}`] } as never, { path: 'secret/data/echo' } as never);
    const errors: Record<string, unknown> = {
      'denied error': await send('sys/mounts'),
      'error of an echo': await send('secret/data/echo'),
      'error of a bad path': await failure(client.read(`secret/../${value}`)),
      'error of nothing there': await failure(app.get(KvService).read('nowhere')),
      'error of a body': await failure(client.write('secret/data/x', { value, big: 1n })),
      'error made by hand': new VaultError({ code: 'VAULT_CLOSED', message: 'm', hint: 'h' }),
    };
    const bad = secretId();
    audit.guard('a secret_id', bad);
    const starting = apps.startError({
      imports: [
        VaultTestingModule.forRoot({ vault: guarded(new SimulatedVault()) }),
        VaultModule.forRoot({
          address: 'https://vault.test',
          auth: appRole({ roleId: 'none', secretId: bad }),
          startup: { timeout: 0 },
        }),
      ],
    });
    errors['error of a start'] = await starting;
    audit.printAll(errors);
    audit.expectClean();
  });

  it.skipIf(!opensslAvailable)('of a client certificate', async () => {
    const authority = new Authority();
    const { cert, keyFile } = authority.issue('client', 'DNS:client');
    const key = encryptKey(keyFile, PASSPHRASE);
    authority.remove();
    audit.guard('the key of the client', key.split('\n')[1] ?? '');
    const tls = { cert, key, passphrase: PASSPHRASE };
    const { app } = await start({ tls });
    audit.printAll(providersOf(app));
    audit.expectClean();
  });

  it("of Nest's log", async () => {
    let text = '';
    const spies = [process.stdout, process.stderr].map((stream) =>
      vi.spyOn(stream, 'write').mockImplementation((chunk) => Boolean((text += String(chunk)))),
    );
    try {
      Logger.overrideLogger(['verbose', 'debug', 'log', 'warn', 'error', 'fatal']);
      await start();
      await apps.finish();
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
    audit.read('log of Nest', text + apps.log);
    audit.expectClean();
  });

  it('of the testing subpath', () => {
    const vault = new SimulatedVault({ clock: new VirtualClock() });
    const { secretId, ...role } = vault.appRole('app');
    audit.guard('a secret_id', secretId());
    vault.kv('secret').put('app', { value: KV });
    audit.printAll({ 'simulated server': vault, 'role of it': role, 'clock of it': vault.clock });
    audit.expectClean();
  });
});
