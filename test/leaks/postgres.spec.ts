import { once } from 'node:events';
import { EntitySchema, MikroORM } from '@mikro-orm/postgresql';
import { drizzle } from 'drizzle-orm/node-postgres';
import knex from 'knex';
import { Kysely, PostgresDialect, sql } from 'kysely';
import type { PoolClient } from 'pg';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { ReplaySubject } from 'rxjs';
import { Sequelize } from 'sequelize';
import { DataSource } from 'typeorm';
import type { DatabaseCredentials } from 'nestjs-vault';
import { rotatingKnexClient } from 'nestjs-vault/knex';
import { rotatingMikroOrmOptions } from 'nestjs-vault/mikro-orm';
import { createRotatingPgPool, RotatingPgPool } from 'nestjs-vault/pg';
import { rotatingSequelizeOptions } from 'nestjs-vault/sequelize';
import { rotatingTypeOrmDriver } from 'nestjs-vault/typeorm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { failure, type Issued } from '../support/issued.js';
import { PgPools } from '../support/pg-pools.js';
import { describeReal } from '../support/real-servers.js';
import { Audit } from './audit.js';

describeReal('no printer shows a password of PostgreSQL', () => {
  const audit = new Audit('pg and the libraries on it');
  let pools: PgPools;

  beforeAll(async () => {
    pools = await PgPools.start();
  });
  afterAll(async () => {
    audit.count();
    await pools?.end();
    await pools?.stop();
  });

  /** Credentials, one after the other, whose passwords the test searches for. */
  const issue = async (options?: { create: boolean }): Promise<Issued> => {
    const one = await pools.issue(options);
    audit.guard(`the password of ${one.user}`, one.password);
    return one;
  };
  const stream = async () => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    credentials$.next((await issue()).credentials);
    return credentials$;
  };
  const clean = () => audit.expectClean();

  it('of a pool, its connections, and their statements', async () => {
    const { pool, rotate, first } = await pools.open({ max: 4 });
    audit.guard(`the password of ${first.user}`, first.password);
    const client = await pool.connect();
    const { connection, connectionParameters } = client as unknown as Record<string, object>;
    const cursor = client.query(new Cursor('select * from pg_class'));
    const stream = new QueryStream('select 1');
    audit.printAll({
      pool,
      'options of a pool': pool.options,
      client,
      connection: connection as object,
      'stream of a connection': (connection as { stream: object }).stream,
      'parameters of a connection': connectionParameters as object,
      cursor,
      'query stream': stream,
      'counters of a pool': pool.counters,
    });
    await cursor.close();
    audit.printAll({
      result: await client.query('select 1'),
      'error of a statement': await failure(client.query('select * from nowhere')),
      query: client.query('select 1').constructor,
    });
    const superseded = once(client, 'superseded');
    const rotated = once(pool, 'rotation');
    await rotate(await issue());
    audit.printAll({
      'superseded client': client,
      "arguments of 'superseded'": await superseded,
      "arguments of 'rotation'": await rotated,
      'pool after a rotation': pool,
    });
    // pg-pool puts the client on the error.
    const broken = once(pool, 'error');
    client.release();
    const idle = await pool.connect();
    const { processID } = idle as unknown as { processID: number };
    idle.release();
    await pools.postgres.query('select pg_terminate_backend($1)', [processID]);
    audit.printAll({ "arguments of 'error'": await broken, "error of 'error'": (await broken)[0] });
    clean();
  });

  it('while a connection logs in', async () => {
    const pool = pools.add(new RotatingPgPool(await stream(), pools.where));
    const seen: object[] = [];
    const { Client } = pool as unknown as { Client: { prototype: { emit: unknown } } };
    const connecting = pool.connect();
    const [client] = (pool as unknown as { _clients: PoolClient[] })._clients;
    const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
    const look = () => {
      seen.push({});
      audit.printAtLogin({ 'client that logs in': client, 'pool that logs in': pool });
    };
    for (const message of ['authenticationSASL', 'authenticationSASLContinue', 'authenticationSASLFinal'])
      connection.on(message, look);
    expect(Client).toBeDefined();
    (await connecting).release();
    expect(seen.length).toBeGreaterThan(1);
    clean();
  });

  it('of a rejected login', async () => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    credentials$.next((await issue({ create: false })).credentials);
    const pool = pools.add(new RotatingPgPool(credentials$, pools.where));
    const [connection, created] = await Promise.all([
      failure(pool.connect()),
      failure(createRotatingPgPool(credentials$, pools.where)),
    ]);
    audit.printAll({
      'refusal of a connection': connection,
      'refusal of a pool': created,
      'pool that is refused': pool,
    });
    clean();
  });

  it('of Knex', async () => {
    const client = rotatingKnexClient(await stream());
    const db = knex({ client, connection: pools.where, pool: { min: 0, max: 3 } });
    await db.raw('select 1');
    const transaction = await db.transaction();
    const connection = await db.client.acquireConnection();
    audit.printAll({
      knex: db,
      'client of Knex': db.client,
      'pool of Knex': db.client.pool,
      'connection of Knex': connection,
      'transaction of Knex': transaction,
      'query of Knex': db('nowhere').select(),
      'error of Knex': await failure(db('nowhere').select() as unknown as Promise<unknown>),
      'config of Knex': db.client.config,
    });
    await db.client.releaseConnection(connection);
    await transaction.rollback();
    await db.destroy();
    clean();
  });

  it('of Sequelize', async () => {
    const options = rotatingSequelizeOptions(await stream(), {
      dialect: 'postgres',
      ...pools.where,
      logging: false,
    });
    const sequelize = new Sequelize(options);
    await sequelize.query('select 1');
    const connection = await sequelize.connectionManager.getConnection({ type: 'write' } as never);
    const transaction = await sequelize.transaction();
    audit.printAll({
      'options of Sequelize': options,
      sequelize,
      'config of Sequelize': sequelize.config,
      'connection manager of Sequelize': sequelize.connectionManager,
      'connection of Sequelize': connection,
      'transaction of Sequelize': transaction,
      'error of Sequelize': await failure(sequelize.query('select * from nowhere')),
    });
    await transaction.rollback();
    sequelize.connectionManager.releaseConnection(connection);
    await sequelize.close();
    clean();
  });

  it('of TypeORM', async () => {
    const driver = rotatingTypeOrmDriver(await stream());
    const dataSource = await new DataSource({ type: 'postgres', driver, ...pools.where }).initialize();
    const runner = dataSource.createQueryRunner();
    const connection = await runner.connect();
    audit.printAll({
      'driver for TypeORM': driver,
      'data source': dataSource,
      'options of a data source': dataSource.options,
      'driver of a data source': dataSource.driver,
      'query runner': runner,
      'connection of TypeORM': connection,
      'entity manager of TypeORM': dataSource.manager,
      'error of TypeORM': await failure(dataSource.query('select * from nowhere')),
    });
    await runner.release();
    await dataSource.destroy();
    clean();
  });

  it('of MikroORM', async () => {
    const { host, port, database } = pools.where;
    class Order {
      id!: string;
    }
    const properties = { id: { type: 'bigint', primary: true } } as const;
    const driverOptions = rotatingMikroOrmOptions(await stream());
    const orm = await MikroORM.init({
      host,
      port,
      dbName: database,
      entities: [new EntitySchema<Order>({ class: Order, properties })],
      driverOptions,
    });
    await orm.em.getConnection().execute('select 1');
    const em = orm.em.fork();
    audit.printAll({
      'options for MikroORM': driverOptions,
      orm,
      'config of MikroORM': orm.config,
      'entity manager of MikroORM': em,
      'connection of MikroORM': em.getConnection(),
      'driver of MikroORM': em.getDriver(),
      'error of MikroORM': await failure(em.getConnection().execute('select * from nowhere')),
    });
    await orm.close();
    clean();
  });

  it('of Kysely and Drizzle', async () => {
    const pool = pools.add(new RotatingPgPool(await stream(), pools.where));
    const kysely = new Kysely({ dialect: new PostgresDialect({ pool }) });
    const orm = drizzle(pool);
    audit.printAll({
      kysely,
      'result of Kysely': await sql`select 1`.execute(kysely),
      'error of Kysely': await failure(sql`select * from nowhere`.execute(kysely)),
      'query of Kysely': sql`select 1`,
      drizzle: orm,
      'error of Drizzle': await failure(orm.execute('select * from nowhere')),
    });
    clean();
  });
});
