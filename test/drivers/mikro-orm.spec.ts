import { EntitySchema, MikroORM, PostgreSqlKnexDialect } from '@mikro-orm/postgresql';
import type { PoolConfig } from 'pg';
import type { Observable } from 'rxjs';
import { getCredentialsToken, type DatabaseCredentials } from 'nestjs-vault';
import { RotatingPool } from 'nestjs-vault/pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, LeasedPostgres } from '../support/leased-postgres.js';
import { closing, DRAIN, revoked, soak } from '../support/leased-work.js';
import { describeReal } from '../support/real-servers.js';

class Order {
  id!: string;
  item!: string;
}
const OrderSchema = new EntitySchema<Order>({
  class: Order,
  tableName: 'orders',
  properties: {
    id: { type: 'bigint', primary: true, generated: 'identity' },
    item: { type: 'text' },
  },
});

/** MikroORM's client for PostgreSQL, with a rotating pool in the place of Knex's. */
const rotatingDialect = (credentials$: Observable<DatabaseCredentials>) =>
  class extends PostgreSqlKnexDialect {
    initializePool({ connection, pool }: { connection: PoolConfig; pool?: PoolConfig }) {
      // MikroORM always has a user here; its own parsers of dates are in here, too.
      const { user: _user, password: _password, ...where } = connection;
      const rotating = new RotatingPool(credentials$, { ...where, ...pool, drain: DRAIN });
      this.pool = {
        acquire: () => ({ promise: rotating.connect() }),
        release: (client: { release(): void }) => {
          client.release();
          return true;
        },
        destroy: () => rotating.end(),
      };
    }
  };

describeReal('MikroORM on leased users', () => {
  let world: LeasedPostgres;

  beforeAll(async () => {
    world = await LeasedPostgres.start([
      { name: 'soak' },
      { name: 'types', long: true },
      { name: 'revoked', long: true },
      { name: 'closing', long: true },
    ]);
  });
  afterAll(() => world?.stop());

  const start = async (role: string) => {
    const { host, port, database } = world.where;
    const app = await world.app({
      providers: [
        {
          provide: MikroORM,
          inject: [getCredentialsToken(role)],
          useFactory: (credentials$: Observable<DatabaseCredentials>) =>
            MikroORM.init({
              host,
              port,
              dbName: database,
              entities: [OrderSchema],
              pool: { max: 6 },
              driverOptions: {
                client: rotatingDialect(world.guarded(credentials$)),
              },
            }),
        },
      ],
    });
    const orm = app.get(MikroORM);
    const work = {
      query: () => orm.em.fork().insert(Order, { item: 'tea' }),
      transaction: (wait: () => Promise<void>) =>
        orm.em.fork().transactional(async (outer) => {
          await outer.insert(Order, { item: 'milk' });
          await outer.transactional((inner) => inner.insert(Order, { item: 'sugar' }));
          await wait();
          await outer.count(Order);
        }),
    };
    const whoami = async () => {
      const rows = await orm.em.getConnection().execute<{ name: string }[]>('select current_user as name');
      return rows[0]?.name;
    };
    return { app, orm, work, whoami };
  };

  it.concurrent('12 s of queries and transactions over leases of 4 s / 8 s: nothing fails', async () => {
    const { app, orm, work, whoami } = await start('soak');
    await soak(world, { app, role: 'soak', work, whoami, printed: orm.em.getConnection() });
  });

  it.concurrent('dates are parsed as MikroORM does, and close() ends the pool', async () => {
    const { app, orm } = await start('types');
    const rows = await orm.em.getConnection().execute(`select timestamptz '2026-01-02 03:04:05+00' as at`);
    expect(rows).toEqual([{ at: expect.stringMatching(/^2026-01-02 03:04:05/) as string }]);
    await orm.close();
    await eventually(async () => expect(await world.connections('types')).toEqual([]));
    await app.close();
    await world.expectGone('types');
  });

  it.concurrent(
    'an operator revokes the lease: what runs as that user fails, until the next one is there',
    async () => {
      const { app, work, whoami } = await start('revoked');
      await revoked(world, { app, role: 'revoked', work, whoami });
    },
  );

  it.concurrent('a transaction that is under way when the application closes is finished', async () => {
    const { app, work } = await start('closing');
    await closing(world, { app, role: 'closing', work });
  });
});
