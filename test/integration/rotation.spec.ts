import { Inject, Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type { Pool } from 'pg';
import type { Observable } from 'rxjs';
import {
  appRole,
  CredentialsService,
  getCredentialsToken,
  VaultModule,
  type DatabaseCredentials,
} from 'nestjs-vault';
import { createRotatingPgPool } from 'nestjs-vault/pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeReal } from '../support/real-servers.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  usersInDatabase,
  type OpenBaoServer,
  type PostgresServer,
} from '../support/servers.mjs';

@Injectable()
class Orders {
  constructor(@Inject('POOL') readonly pool: Pool) {}

  async add(): Promise<void> {
    await this.pool.query('insert into orders (item) values ($1)', ['tea']);
  }
}

describeReal('rotation under a live database', () => {
  let bao: OpenBaoServer;
  let postgres: PostgresServer;

  beforeAll(async () => {
    [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
    await postgres.query('create table orders (id bigserial primary key, item text not null)');
  });

  afterAll(async () => {
    await Promise.all([bao?.stop(), postgres?.stop()]);
  });

  it('credentials of 5 s / 12 s under tokens of 8 s / 20 s: a query each 100 ms for 60 s, none fails', async () => {
    const role = await provision(bao, postgres, {
      roles: [{ name: 'orders', defaultTtl: '5s', maxTtl: '12s' }],
      policy: 'path "database/creds/orders" { capabilities = ["read"] }',
      approle: { token_ttl: '8s', token_max_ttl: '20s' },
    });

    @Module({
      imports: [
        VaultModule.forRoot({
          address: bao.address,
          auth: appRole({ roleId: role.roleId, secretId: role.secretId }),
        }),
      ],
      providers: [
        Orders,
        {
          provide: 'POOL',
          inject: [getCredentialsToken('orders')],
          useFactory: (credentials$: Observable<DatabaseCredentials>) =>
            createRotatingPgPool(credentials$, {
              host: postgres.host,
              port: postgres.port,
              database: postgres.database,
              max: 5,
            }),
        },
      ],
    })
    class AppModule {}

    const app = await Test.createTestingModule({ imports: [AppModule] }).compile();
    await app.init();
    const failures: unknown[] = [];
    const orders = app.get(Orders);
    const seconds = Number(process.env['SOAK_SECONDS'] ?? 60);
    await new Promise<void>((resolve) => {
      let left = seconds * 10;
      const timer = setInterval(() => {
        orders.add().catch((error: unknown) => failures.push(error));
        if (--left === 0) {
          clearInterval(timer);
          resolve();
        }
      }, 100);
    });
    const events = app.get(CredentialsService).recentEvents.map(({ type }) => type);
    if (process.env['SHOW'])
      for (const e of app.get(CredentialsService).recentEvents)
        console.log(
          e.at.toISOString().slice(17, 23),
          e.type,
          JSON.stringify({ ...e, at: undefined, type: undefined, connection: undefined }),
        );
    await app.close();

    expect(failures).toEqual([]);
    expect(events.filter((type) => type === 'rotated').length).toBeGreaterThanOrEqual(
      Math.floor(seconds / 15),
    );
    expect(events.filter((type) => type === 'login').length).toBeGreaterThanOrEqual(Math.floor(seconds / 20));
    await expect.poll(() => usersInDatabase(postgres), { timeout: 5_000 }).toEqual([]);
  }, 90_000);
});
