// Runs in a scratch application with the packed tarball installed, as `node smoke.mjs <esm|cjs>`: the whole lifecycle
// of an application against a fake server, which records its requests.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import assert from 'node:assert/strict';

const require = createRequire(import.meta.url);
const load = process.argv[2] === 'cjs' ? (name) => Promise.resolve(require(name)) : (name) => import(name);
// This package first, on purpose: the order of imports must not matter.
const [vault, pg, testing, ofTerminus, common, core, terminus] = await Promise.all(
  [
    'nestjs-vault',
    'nestjs-vault/pg',
    'nestjs-vault/testing',
    'nestjs-vault/terminus',
    '@nestjs/common',
    '@nestjs/core',
    '@nestjs/terminus',
  ].map(load),
);
await load('reflect-metadata');
// Its peer is optional, and not installed here: Node's own error names it, and nothing else of the package needs it.
await assert.rejects(async () => load('nestjs-vault/opentelemetry'), /'@opentelemetry\/api'/);

const seen = [];
const server = createServer((request, response) => {
  const path = request.url.replace('/v1/', '');
  seen.push(`${request.method} ${path}`);
  const auth = { client_token: 'hvs.canary', accessor: 'a', lease_duration: 60, renewable: true };
  const answers = {
    'auth/approle/login': { auth },
    'secret/data/app': {
      data: { data: { apiKey: 'canary-key' }, metadata: { version: 1, created_time: '2026-01-01' } },
    },
    'database/creds/orders': {
      lease_id: 'database/creds/orders/1',
      lease_duration: 60,
      renewable: true,
      data: { username: 'v-orders', password: 'canary-password' },
    },
  };
  response.setHeader('content-type', 'application/json');
  if (path === 'auth/token/revoke-self') response.writeHead(204).end();
  else response.end(JSON.stringify(answers[path] ?? { errors: [] }));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

const { InjectCredentials, InjectSecret, VaultModule, appRole } = vault;
class Repository {
  constructor(credentials$, apiKey) {
    Object.assign(this, { credentials$, apiKey });
  }
}
common.Injectable()(Repository);
InjectCredentials('orders')(Repository, undefined, 0);
InjectSecret('app', { key: 'apiKey' })(Repository, undefined, 1);
class AppModule {}
common.Module({
  imports: [
    VaultModule.forRoot({
      address: `http://127.0.0.1:${server.address().port}`,
      auth: appRole({ roleId: 'r', secretId: 's' }),
    }),
  ],
  providers: [Repository],
})(AppModule);

const app = await core.NestFactory.createApplicationContext(AppModule, { logger: false });
const repository = app.get(Repository);
assert.equal(repository.apiKey.reveal(), 'canary-key');
const first = await new Promise((resolve) => repository.credentials$.subscribe(resolve));
assert.equal(first.password.reveal(), 'canary-password');
assert.equal(String(first.password), '[redacted]');
assert.equal(typeof pg.createRotatingPgPool, 'function');
await app.close();
server.close();
assert.deepEqual(
  seen.toSorted((a, b) => a.localeCompare(b)),
  [
    'GET database/creds/orders',
    'GET secret/data/app',
    'POST auth/approle/login',
    'POST auth/token/revoke-self',
  ],
);

// The majors of Nest handle errors at shutdown differently.
const simulated = new testing.SimulatedVault();
class TestedModule {}
common.Module({
  imports: [
    testing.VaultTestingModule.forRoot({ vault: simulated }),
    vault.VaultModule.forRoot({ address: 'http://vault.test', auth: vault.token('root') }),
  ],
})(TestedModule);
const tested = await core.NestFactory.createApplicationContext(TestedModule, { logger: false });
await assert.rejects(tested.get(vault.KvService).read('app', { mount: 'nowhere' }), { status: 404 });
await assert.rejects(tested.close(), /no answer to: GET \/v1\/nowhere\/data\/app/);
await tested.close();

// Terminus 11 is CommonJS and knows no `degraded`; Terminus 12 is ESM, and does.
const { VaultHealthIndicator } = ofTerminus;
let draining;
class HealthModule {
  async beforeApplicationShutdown() {
    draining = await ready().catch((error) => error.getStatus());
  }
}
common.Module({
  imports: [terminus.TerminusModule.forRoot({ logger: false })],
  providers: [VaultHealthIndicator],
})(HealthModule);
class ProbedModule {}
common.Module({
  imports: [
    testing.VaultTestingModule.forRoot({ vault: simulated }),
    vault.VaultModule.forRoot({
      address: 'http://vault.test',
      auth: vault.token('root'),
      startup: { login: 'deferred' },
    }),
    HealthModule,
  ],
})(ProbedModule);
const probed = await core.NestFactory.createApplicationContext(ProbedModule, { logger: false });
const health = probed.get(terminus.HealthCheckService, { strict: false });
const indicator = probed.get(VaultHealthIndicator, { strict: false });
const ready = () => health.check([() => indicator.checkReadiness('vault')]);
assert.deepEqual((await ready()).details, {
  vault: { status: 'up', connections: { default: { state: 'up' } } },
});
simulated.seal();
await assert.rejects(probed.get(vault.KvService).read('app'), { code: 'VAULT_SEALED' });
const native = 'degraded' in terminus.HealthIndicatorService.prototype.check('vault');
const { status, details } = await ready();
assert.deepEqual([status, details.vault.status], native ? ['degraded', 'degraded'] : ['ok', 'up']);
assert.equal(details.vault.connections.default.state, 'degraded');
simulated.unseal();
await probed.close();
assert.equal(draining, 503);
console.log(`ok ${process.argv[2]}`);
