// Both copies of the package, ESM and CommonJS, in one process: as in an application that imports the package in one
// part and requires it in another.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(join(process.cwd(), 'package.json'));
require('reflect-metadata');
const common = require('@nestjs/common');
const core = require('@nestjs/core');
const cjs = require('nestjs-vault');
const esm = await import(
  pathToFileURL(require.resolve('nestjs-vault').replace(join('dist', 'cjs'), join('dist', 'esm'))).href
);
assert.notEqual(esm.VaultModule, cjs.VaultModule);
const esmOfPg = pathToFileURL(
  require.resolve('nestjs-vault/pg').replace(join('dist', 'cjs'), join('dist', 'esm')),
).href;

let logins = 0;
const alive = new Set();
const server = createServer((request, response) => {
  const path = request.url.replace('/v1/', '');
  const token = String(request.headers['x-vault-token']);
  response.setHeader('content-type', 'application/json');
  if (path === 'auth/token/revoke-self') return void (alive.delete(token), response.writeHead(204).end());
  const made = `hvs.${path === 'auth/approle/login' ? ++logins : 0}`;
  if (path === 'auth/approle/login') alive.add(made);
  const answers = {
    'auth/approle/login': {
      auth: { client_token: made, accessor: 'a', lease_duration: 60, renewable: true },
    },
    'database/creds/orders': {
      lease_id: `database/creds/orders/${token}`,
      lease_duration: 60,
      renewable: true,
      data: { username: 'v-orders', password: 'canary-password' },
    },
  };
  if (answers[path]) return void response.end(JSON.stringify(answers[path]));
  response.writeHead(404).end(JSON.stringify({ errors: [] }));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

const connection = (copy, name) =>
  copy.VaultModule.forRoot({
    ...(name && { name }),
    address: `http://127.0.0.1:${server.address().port}`,
    auth: copy.appRole({ roleId: 'r', secretId: 's' }),
  });
const start = (imports, providers = []) => {
  class AppModule {}
  common.Module({ imports, providers })(AppModule);
  return core.NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
};
/** A class whose parameter is decorated by one copy. */
const consumer = (copy, connection) => {
  class Consumer {
    constructor(credentials$) {
      this.credentials$ = credentials$;
    }
  }
  common.Injectable()(Consumer);
  copy.InjectCredentials('orders', connection && { connection })(Consumer, undefined, 0);
  return Consumer;
};
const first = (observable) =>
  new Promise((resolve, reject) => observable.subscribe({ next: resolve, error: reject }));

// Each copy recognises the objects of the other.
const secret = new esm.Secret('canary');
const error = await start([esm.VaultModule.forRoot({ address: 'nowhere', auth: esm.token('t') })]).catch(
  (one) => one,
);
assert.ok(error instanceof esm.VaultError && error instanceof cjs.VaultError);
assert.equal(esm.getCredentialsToken('orders'), cjs.getCredentialsToken('orders'));

// One application with each copy, whose classes are decorated by the other copy; both revoke their tokens.
const Crossed = { esm: consumer(cjs), cjs: consumer(esm) };
const apps = await Promise.all([
  start([connection(esm)], [Crossed.esm]),
  start([connection(cjs)], [Crossed.cjs]),
]);
for (const [index, name] of ['esm', 'cjs'].entries()) {
  const { password } = await first(apps[index].get(Crossed[name]).credentials$);
  assert.equal(password.reveal(), 'canary-password');
  assert.equal(String(password), '[redacted]');
}
assert.equal(alive.size, 2);
const failure = await apps[0]
  .get(esm.CredentialsService)
  .get('nowhere/creds/x')
  .catch((one) => one);
assert.ok(failure instanceof cjs.VaultError);
// A pool finds the connection of the other copy through the lease of its credentials.
for (const [index, copy] of [esm, cjs].entries()) {
  const credentials = apps[index].get(copy.CredentialsService);
  const other = copy === esm ? require('nestjs-vault/pg') : await import(esmOfPg);
  const pool = new other.RotatingPgPool(credentials.watch('database/creds/orders'));
  await new Promise((resolve) => setTimeout(resolve, 50));
  const { connections } = await first(credentials.status$);
  assert.deepEqual(
    connections[0].pools.map(({ driver, path }) => [driver, path]),
    [['pg', 'database/creds/orders']],
  );
  await pool.end();
}
await Promise.all(apps.map((app) => app.close()));
assert.equal(alive.size, 0);

// An instrumentation of one copy reports the connections of both.
const { VaultInstrumentation } = require('nestjs-vault/opentelemetry');
const loggedIn = [];
const meter = {
  createCounter: (name) => ({
    add: (value, { connection }) => name === 'nestjs_vault.logins' && value > 0 && loggedIn.push(connection),
  }),
  createHistogram: () => ({ record: () => undefined }),
  createObservableGauge: () => ({}),
  addBatchObservableCallback: () => undefined,
  removeBatchObservableCallback: () => undefined,
};
const instrumentation = new VaultInstrumentation({ meterProvider: { getMeter: () => meter } });

// One application with a connection of each copy: each has services of its own, for its own connection.
const names = { a: consumer(esm, 'a'), b: consumer(esm, 'b') };
const both = await start([connection(esm, 'a'), connection(cjs, 'b')], Object.values(names));
for (const one of Object.values(names))
  assert.equal((await first(both.get(one).credentials$)).username.reveal(), 'v-orders');
for (const [copy, name, other] of [
  [esm, 'a', 'b'],
  [cjs, 'b', 'a'],
]) {
  const service = both.get(copy.CredentialsService);
  const status = await first(service.status$);
  assert.deepEqual(
    status.connections.map((one) => one.name),
    [name],
  );
  const unknown = await service.get('database/creds/orders', { connection: other }).catch((one) => one);
  assert.equal(unknown.code, 'VAULT_CONNECTION_UNKNOWN');
  assert.match(unknown.hint, /another copy/);
}
await both.close();
assert.equal(alive.size, 0);
instrumentation.disable();
assert.deepEqual(new Set(loggedIn), new Set(['a', 'b']));

// The same name through each copy is refused, as it is through one.
const twice = await start([connection(esm), connection(cjs)]).catch((one) => one);
assert.equal(twice.code, 'VAULT_CONFIG_INVALID');
assert.equal(alive.size, 0);
assert.equal(String(secret), '[redacted]');
server.close();
console.log('ok: two copies');
