import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Inject, Injectable } from '@nestjs/common';
import { InjectRepository, TypeOrmModule, type TypeOrmModuleOptions } from '@nestjs/typeorm';
import { NEVER, type Observable } from 'rxjs';
import { getCredentialsToken, type DatabaseCredentials } from 'nestjs-vault';
import { rotatingTypeOrmDriver, type PoolEvent } from 'nestjs-vault/typeorm';
import type { RotatingPgPool } from 'nestjs-vault/pg';
import {
  Column,
  DataSource,
  Entity,
  PrimaryGeneratedColumn,
  type MigrationInterface,
  type QueryRunner,
  type Repository,
} from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ENDING_REVOCATION, eventually, LeasedPostgres, OWNER_CREATION } from '../support/leased-postgres.js';
import { DRAIN, revoked } from '../support/leased-work.js';
import { describeReal } from '../support/real-servers.js';

@Entity('orders')
class Order {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', generatedIdentity: 'ALWAYS' })
  id!: string;

  @Column('text')
  item!: string;
}

/** An ordinary service: nothing in it depends on the change of users. */
@Injectable()
class Orders {
  constructor(
    @InjectRepository(Order) private readonly orders: Repository<Order>,
    @Inject(DataSource) private readonly dataSource: DataSource,
  ) {}

  readonly query = () => this.orders.insert({ item: 'tea' });

  /** A transaction with a savepoint that is rolled back, and one that is kept. */
  readonly transaction = (work: () => Promise<void>) =>
    this.dataSource.transaction(async (outer) => {
      await outer.insert(Order, { item: 'milk' });
      await outer.transaction((inner) => inner.insert(Order, { item: 'sugar' }));
      const undone = outer.transaction(async (inner) => {
        await inner.insert(Order, { item: 'nothing' });
        throw new Error('undone');
      });
      await expect(undone).rejects.toThrow('undone');
      await work();
      await outer.count(Order);
    });

  whoami = async () => {
    const [row] = await this.dataSource.query<{ name: string }[]>('select session_user as name');
    return row?.name;
  };
}

class CreateShipments1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('create table shipments (id bigint primary key, order_id bigint references orders)');
    await runner.query('alter table orders add column note text');
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table orders drop column note');
    await runner.query('drop table shipments');
  }
}

describeReal('TypeORM on leased users', () => {
  let world: LeasedPostgres;

  beforeAll(async () => {
    world = await LeasedPostgres.start([
      { name: 'replicas' },
      { name: 'migrate', creation: OWNER_CREATION },
      { name: 'revoked', long: true },
      { name: 'killed', long: true, revocation: ENDING_REVOCATION },
      { name: 'acting', long: true, creation: OWNER_CREATION },
    ]);
  });
  afterAll(() => world?.stop());

  /** An application with TypeORM on a role. */
  const start = async (role: string, options: Partial<TypeOrmModuleOptions> & object = {}) => {
    const events: PoolEvent[] = [];
    const app = await world.app(
      {
        imports: [
          TypeOrmModule.forRootAsync({
            inject: [getCredentialsToken(role)],
            useFactory: (credentials$: Observable<DatabaseCredentials>) => ({
              type: 'postgres',
              driver: rotatingTypeOrmDriver(world.guarded(credentials$), {
                drain: DRAIN,
                onRotation: (event) => events.push(event),
              }),
              ...world.where,
              entities: [Order],
              retryAttempts: 1,
              poolSize: 6,
              ...(options as object),
            }),
          }),
          TypeOrmModule.forFeature([Order]),
        ],
        providers: [Orders],
      },
      role === 'replicas' ? role : undefined,
    );
    const count = (type: PoolEvent['type']) => events.filter((one) => one.type === type).length;
    return { app, orders: app.get(Orders), dataSource: app.get(DataSource), events, count };
  };

  it.concurrent('replication: the pool of each server rotates, idle connections at once', async () => {
    // Only this application's connections: an earlier try of this test may have left some.
    const mine = randomUUID().slice(0, 8);
    const server = (name: string) => ({ ...world.where, applicationName: `${name} ${mine}` });
    const { app, dataSource, count } = await start('replicas', {
      replication: { master: server('primary'), slaves: [server('replica1'), server('replica2')] },
    } as TypeOrmModuleOptions);
    const { master, slaves } = dataSource.driver as PostgresDriver;
    const pools = [master, ...slaves] as RotatingPgPool[];
    const open = async () => {
      const { rows } = await world.postgres.query<{ pool: string; users: string[]; count: number }>(
        `select split_part(application_name, ' ', 1) as pool, count(*)::int, array_agg(distinct usename::text) as users
         from pg_stat_activity where application_name like $1 group by 1 order by 1`,
        [`% ${mine}`],
      );
      expect(rows.map(({ pool, count: size }) => [pool, size])).toEqual([
        ['primary', 3],
        ['replica1', 3],
        ['replica2', 3],
      ]);
      const users = new Set(rows.flatMap((one) => one.users));
      expect(users.size).toBe(1);
      return [...users][0];
    };
    const clients = await Promise.all(
      pools.flatMap((pool) => [pool.connect(), pool.connect(), pool.connect()]),
    );
    for (const client of clients) client.release();
    const before = await open();
    await Promise.all(pools.map((pool) => once(pool, 'rotation')));
    expect(count('rotated')).toBe(pools.length);
    // As many connections as were idle, all of the new user.
    await eventually(async () => expect(await open()).not.toBe(before));
    // Reads go to a replica, writes to the primary.
    await dataSource.getRepository(Order).find({ take: 1 });
    await dataSource.getRepository(Order).insert({ item: 'coffee' });
    await app.close();
    await world.expectGone('replicas');
  });

  it.concurrent('migrations under a leased user: the owner role owns the new objects', async () => {
    const { app, dataSource, orders, events } = await start('migrate', {
      migrations: [CreateShipments1700000000000],
      migrationsRun: true,
    });
    const [row] = await dataSource.query<{ login: string; acting: string }[]>(
      'select session_user as login, current_user as acting',
    );
    expect(row).toEqual({
      login: expect.stringMatching(/^v-approle-migrate-/) as string,
      acting: 'orders_owner',
    });
    const { rows } = await world.postgres.query(
      `select tablename, tableowner from pg_tables where schemaname = 'public' order by 1`,
    );
    expect(rows).toEqual(
      ['migrations', 'orders', 'shipments'].map((tablename) => ({ tablename, tableowner: 'orders_owner' })),
    );
    const first = await orders.whoami();
    await eventually(async () => expect(await orders.whoami()).not.toBe(first));
    await dataSource.undoLastMigration();
    await app.close();
    // Users that own objects cannot be dropped; the pool would have warned of them.
    expect(events.filter(({ type }) => type === 'warning')).toEqual([]);
    await world.expectGone('migrate');
  });

  it.concurrent(
    'an operator revokes the lease: queries of that user fail until the next credentials',
    async () => {
      const { app, orders } = await start('revoked');
      await revoked(world, { app, role: 'revoked', work: orders, whoami: orders.whoami });
    },
  );

  it.concurrent(
    'a revocation that ends sessions: running statements fail, and nothing after that',
    async () => {
      const { app, orders } = await start('killed');
      // Some sessions get PostgreSQL's message, others find the connection closed.
      await revoked(world, { app, role: 'killed', work: orders, whoami: orders.whoami }, ['57P01', 'gone']);
    },
  );

  it.concurrent(
    'users that act as an owner role: their sessions go on, and the next login fails',
    async () => {
      const { app, orders } = await start('acting', { extra: { maxUses: 5 } } as TypeOrmModuleOptions);
      await revoked(world, { app, role: 'acting', work: orders, whoami: orders.whoami }, []);
    },
  );

  it.concurrent.each(['username', 'password', 'url'])('refuses options that name `%s`', async (key) => {
    const dataSource = new DataSource({
      type: 'postgres',
      driver: rotatingTypeOrmDriver(NEVER),
      [key]: 'postgres://canary-value@localhost/x',
    });
    await expect(dataSource.initialize()).rejects.toMatchObject({
      code: 'VAULT_CONFIG_INVALID',
      message: expect.stringContaining(`\`${key}\``) as string,
    });
  });
});
