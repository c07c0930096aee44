// Workers of `cluster` and worker threads that each start an application: each logs in by itself, and revokes its token
// when it closes. Runs itself as the child.
import assert from 'node:assert/strict';
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

const require = createRequire(join(process.cwd(), 'package.json'));

async function child(address) {
  require('reflect-metadata');
  const { Module } = require('@nestjs/common');
  const { NestFactory } = require('@nestjs/core');
  const { appRole, CredentialsService, VaultModule } = require('nestjs-vault');
  class AppModule {}
  const auth = appRole({ roleId: 'r', secretId: 's' });
  Module({ imports: [VaultModule.forRoot({ address, auth })] })(AppModule);
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
  await app.get(CredentialsService).get('database/creds/orders');
  await app.close();
}

async function parent() {
  const tokens = { made: [], revoked: [], leased: [] };
  const server = createServer((request, response) => {
    const path = request.url.replace('/v1/', '');
    const token = String(request.headers['x-vault-token']);
    if (path === 'auth/token/revoke-self') {
      tokens.revoked.push(token);
      return void response.writeHead(204).end();
    }
    const life = { lease_duration: 60, renewable: true };
    let answer = {
      ...life,
      lease_id: `database/creds/orders/${token}`,
      data: { username: 'u', password: 'p' },
    };
    if (path === 'auth/approle/login') {
      tokens.made.push(`hvs.${tokens.made.length}`);
      answer = { auth: { ...life, client_token: tokens.made.at(-1), accessor: 'a' } };
    } else tokens.leased.push(token);
    response.end(JSON.stringify(answer));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${server.address().port}`;
  cluster.setupPrimary({ exec: fileURLToPath(import.meta.url) });
  const file = new URL(import.meta.url);
  const children = [
    cluster.fork({ VAULT_CHILD_OF: address }),
    cluster.fork({ VAULT_CHILD_OF: address }),
    new Worker(file, { workerData: address }),
    new Worker(file, { workerData: address }),
  ];
  const codes = await Promise.all(children.map((one) => new Promise((resolve) => one.once('exit', resolve))));
  server.close();
  assert.deepEqual(codes, [0, 0, 0, 0]);
  for (const list of Object.values(tokens)) {
    assert.equal(list.length, 4);
    assert.deepEqual(new Set(list), new Set(tokens.made));
  }
  console.log('ok: 2 processes and 2 threads');
}

if (cluster.isWorker && isMainThread) {
  await child(process.env.VAULT_CHILD_OF);
  process.disconnect();
} else await (isMainThread ? parent() : child(workerData));
