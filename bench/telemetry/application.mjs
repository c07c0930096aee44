// One process of npm run bench:telemetry: a Nest application whose HTTP requests are one query each, over a pool with a
// leased user that lives for 15 s, is renewed each few seconds and rotated. With or without metrics and traces.
import 'reflect-metadata';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { appRole, getCredentialsToken, VaultModule } from 'nestjs-vault';
import { VaultInstrumentation } from 'nestjs-vault/opentelemetry';
import { createRotatingPgPool } from 'nestjs-vault/pg';
import { startSdk } from './sdk.mjs';

const { mode, vault, database } = JSON.parse(process.argv[2]);
const { reader, ...providers } = startSdk();
if (mode === 'traces') new VaultInstrumentation(providers);

class Queries {
  constructor(pool) {
    this.pool = pool;
  }
  async one() {
    const { rows } = await this.pool.query('select 1 as one');
    return rows[0];
  }
}
Reflect.decorate([Controller()], Queries);
Get()(Queries.prototype, 'one', Object.getOwnPropertyDescriptor(Queries.prototype, 'one'));
Reflect.defineMetadata('self:paramtypes', [{ index: 0, param: 'pool' }], Queries);

class AppModule {}
Module({
  imports: [VaultModule.forRoot({ address: vault.address, auth: appRole(vault.role) })],
  controllers: [Queries],
  providers: [
    {
      provide: 'pool',
      inject: [getCredentialsToken('app')],
      useFactory: (credentials$) => createRotatingPgPool(credentials$, { ...database, max: 10 }),
    },
  ],
})(AppModule);

const app = await NestFactory.create(AppModule, { logger: false });
app.enableShutdownHooks();
await app.listen(0, '127.0.0.1');
let since = process.cpuUsage();
// The parent takes the CPU of a block; a collection belongs to it, as a scraper makes one each few seconds.
process.on('message', async () => {
  await reader.collect();
  const { user, system } = process.cpuUsage(since);
  since = process.cpuUsage();
  process.send((user + system) / 1_000);
});
process.send(app.getHttpServer().address().port);
