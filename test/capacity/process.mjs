// One process of the fleet of `npm run test:capacity`, with the package as built: a program of `nestjs-vault/core` or a
// Nest application. It follows a KV secret, and queries the database by a pool until SIGTERM; then it reports.
import 'reflect-metadata';
import { setTimeout as sleep } from 'node:timers/promises';
import { appRole, connectVault } from 'nestjs-vault/core';
import { createRotatingPgPool } from 'nestjs-vault/pg';

// The run has ended, also if this has not started yet.
process.once('disconnect', () => process.exit());

const { kind, vault, role, secret, every, pool: poolOptions, work } = JSON.parse(process.env.FLEET_PROCESS);
const failures = {};
let queries = 0;
let ending = false;

// A machine that starts many processes is slow.
const options = { ...vault, auth: appRole(vault.auth), startup: { timeout: 60_000 } };
const poolFor = (credentials$) => createRotatingPgPool(credentials$, poolOptions);
const { pool, kv, close } = kind === 'nest' ? await nestApplication() : await program();
kv.watch(secret, { every }).subscribe({ error: () => {} });
const working = [short(), long()];
process.send({ type: 'ready' });

process.once('SIGTERM', end);

async function program() {
  const connection = await connectVault(options);
  await connection.kv.read(secret);
  return {
    pool: await poolFor(connection.credentials.database(role)),
    kv: connection.kv,
    close: () => connection.close(),
  };
}

async function nestApplication() {
  const { Module } = await import('@nestjs/common');
  const { NestFactory } = await import('@nestjs/core');
  const { getCredentialsToken, getSecretToken, KvService, VaultModule } = await import('nestjs-vault');
  class AppModule {}
  Module({
    imports: [VaultModule.forRoot(options)],
    providers: [
      { provide: 'POOL', inject: [getCredentialsToken(role)], useFactory: poolFor },
      { provide: 'SECRET', inject: [getSecretToken(secret)], useFactory: (value) => value },
    ],
  })(AppModule);
  const app = await NestFactory.create(AppModule, { logger: ['error', 'fatal'] });
  await app.listen(0, '127.0.0.1');
  return { pool: app.get('POOL'), kv: app.get(KvService), close: () => app.close() };
}

/** Short queries on one connection. */
async function short() {
  while (!ending) {
    await counted(() => pool.query('select count(*) from orders'));
    await sleep(work.pause);
  }
}

/** Transactions on the other one: a rotation has to wait for them. */
async function long() {
  while (!ending) {
    await counted(async () => {
      const client = await pool.connect();
      try {
        await client.query('begin');
        await client.query('select pg_sleep($1)', [work.transaction / 1000]);
        await client.query('insert into orders (item) values ($1)', ['tea']);
        await client.query('commit');
      } finally {
        client.release();
      }
    });
  }
}

async function counted(work) {
  queries += 1;
  try {
    await work();
  } catch (error) {
    const code = String(error?.code ?? error?.name);
    failures[code] = (failures[code] ?? 0) + 1;
    await sleep(100);
  }
}

async function end() {
  if (ending) return;
  ending = true;
  await Promise.all(working);
  await close();
  if (process.connected) process.send({ type: 'ended', queries, failures }, () => process.exit());
}
