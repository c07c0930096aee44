import { MikroORM, EntitySchema } from '@mikro-orm/postgresql';
import { PrismaPg } from '@prisma/adapter-pg';
import knex, { type Knex } from 'knex';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { BehaviorSubject, defer, EMPTY, ReplaySubject, type Observable } from 'rxjs';
import { QueryTypes, Sequelize } from 'sequelize';
import { DataSource } from 'typeorm';
import { VaultError, type DatabaseCredentials } from 'nestjs-vault';
import { rotatingKnexClient, type PoolEvent } from 'nestjs-vault/knex';
import { rotatingMikroOrmOptions } from 'nestjs-vault/mikro-orm';
import { RotatingPgPool } from 'nestjs-vault/pg';
import { rotatingSequelizeOptions } from 'nestjs-vault/sequelize';
import { rotatingTypeOrmDriver } from 'nestjs-vault/typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PrismaClient } from '../../sample/03-prisma/src/generated/prisma/client.js';
import { failure, type Issued } from '../support/issued.js';
import { eventually } from '../support/leased-postgres.js';
import { PgPools, whoami } from '../support/pg-pools.js';

/** A library that is opened and closed repeatedly. */
interface Library {
  whoami(): Promise<string | undefined>;
  close(): Promise<unknown>;
  open(): Promise<unknown> | void;
}

type Options = { drain: number; onRotation: (event: PoolEvent) => void };
type Make = (credentials$: Observable<DatabaseCredentials>, options: Options) => Promise<Library>;

const CYCLES = 100;

describe('a library that is closed', () => {
  let world: PgPools;
  beforeAll(async () => {
    world = await PgPools.start();
  });
  afterAll(() => world?.stop());

  const ofKnex: Make = async (credentials$, options) => {
    const db: Knex = knex({ client: rotatingKnexClient(credentials$, options), connection: world.where });
    return {
      whoami: async () => (await db.raw<{ rows: { name: string }[] }>(WHOAMI)).rows[0]?.name,
      close: () => db.destroy(),
      open: () => db.initialize(),
    };
  };

  const sequelizeOf = (credentials$: Observable<DatabaseCredentials>, options: Options, more = {}) =>
    new Sequelize(
      rotatingSequelizeOptions(
        credentials$,
        { dialect: 'postgres', ...world.where, pool: { max: 2 }, logging: false, ...more },
        options,
      ),
    );

  /** The pattern of Sequelize's page "Using sequelize in AWS Lambda". */
  const lambdaOf = (sequelize: Sequelize): Library => {
    const { connectionManager } = sequelize;
    return {
      whoami: async () => {
        const [row] = await sequelize.query<{ name: string }>(WHOAMI, { type: QueryTypes.SELECT });
        return row?.name;
      },
      close: () => connectionManager.close(),
      open: () => {
        connectionManager.initPools();
        if (Object.hasOwn(connectionManager, 'getConnection')) {
          Reflect.deleteProperty(connectionManager, 'getConnection');
        }
      },
    };
  };

  const ofSequelize: Make = async (credentials$, options) => lambdaOf(sequelizeOf(credentials$, options));

  const ofReplicas: Make = async (credentials$, options) => {
    const replication = { write: world.where, read: [{ ...world.where, host: 'localhost' }] };
    return lambdaOf(sequelizeOf(credentials$, options, { replication }));
  };

  const ofTypeorm: Make = async (credentials$, options) => {
    const driver = rotatingTypeOrmDriver(credentials$, options);
    const dataSource = await new DataSource({
      type: 'postgres',
      driver,
      ...world.where,
      installExtensions: false,
    }).initialize();
    return {
      whoami: async () => (await dataSource.query<{ name: string }[]>(WHOAMI))[0]?.name,
      close: () => dataSource.destroy(),
      open: () => dataSource.initialize(),
    };
  };

  const ofMikroOrm: Make = async (credentials$, options) => {
    const { host, port, database } = world.where;
    const orm = await MikroORM.init({
      host,
      port,
      dbName: database,
      entities: [new EntitySchema({ name: 'Order', properties: { id: { type: 'bigint', primary: true } } })],
      driverOptions: rotatingMikroOrmOptions(credentials$, options),
    });
    return {
      whoami: async () => (await orm.em.getConnection().execute<{ name: string }[]>(WHOAMI))[0]?.name,
      close: () => orm.close(),
      open: () => orm.connect(),
    };
  };

  /** Each close releases the subscription and the hold, and each open takes new ones. */
  it.concurrent.each([
    ['Knex', ofKnex],
    ['Sequelize', ofSequelize],
    ['Sequelize, with replication', ofReplicas],
    ['TypeORM', ofTypeorm],
    ['MikroORM', ofMikroOrm],
  ] satisfies [string, Make][])(
    '%s: opened again it starts with the current user, and rotates; closed, it holds nothing',
    async (_name, make) => {
      const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
      const events: PoolEvent[] = [];
      const [first, second, third] = [await world.issue(), await world.issue(), await world.issue()];
      credentials$.next(first.credentials);
      const library = await make(credentials$, { drain: 1_000, onRotation: (event) => events.push(event) });
      const holds = () => [first, second, third].map((one) => one.holds);
      expect(await library.whoami()).toBe(first.user);
      await library.close();
      await eventually(() => expect(holds()).toEqual([0, 0, 0]));
      expect(credentials$.observed).toBe(false);

      // The user has been removed by the time of the next open.
      await world.postgres.query(`drop role ${first.user}`);
      credentials$.next(second.credentials);
      await library.open();
      expect(await library.whoami()).toBe(second.user);
      expect(holds()).toEqual([0, expect.any(Number), 0]);
      expect(second.holds).toBeGreaterThan(0);
      events.length = 0;
      credentials$.next(third.credentials);
      await eventually(() => expect(events.map(({ type }) => type)).toContain('rotated'));
      await eventually(async () => expect(await library.whoami()).toBe(third.user));

      const subscriptions = new Set<number>();
      for (let cycle = 0; cycle < CYCLES; cycle++) {
        await library.close();
        await library.open();
        if (cycle % 10 === 0) expect(await library.whoami()).toBe(third.user);
        subscriptions.add(credentials$.observers.length);
      }
      expect(Math.max(...subscriptions)).toBeLessThanOrEqual(2);
      await library.close();
      await eventually(() => expect(holds()).toEqual([0, 0, 0]));
      expect(credentials$.observed).toBe(false);
      await eventually(async () => expect(await world.connections(third.user)).toBe(0));
    },
  );

  it.concurrent.each([
    ['Knex', ofKnex],
    ['Sequelize', ofSequelize],
    ['TypeORM', ofTypeorm],
    ['MikroORM', ofMikroOrm],
  ] satisfies [string, Make][])(
    '%s: lends no idle connection past the end of its lease before a check',
    async (_name, make) => {
      const [first, second] = [await world.issue(), await world.issue()];
      const credentials$ = new BehaviorSubject(first.credentials);
      let looks = 0;
      let outcome: Promise<void> | undefined;
      Object.assign(first.credentials.lease, { ensureValid: () => (looks++, outcome) });
      const library = await make(credentials$, { drain: 1_000, onRotation: () => undefined });
      expect(await library.whoami()).toBe(first.user);
      outcome = Promise.reject(
        new VaultError({ code: 'VAULT_CREDENTIALS_EXPIRED', message: 'None is valid.', hint: 'Wait.' }),
      );
      outcome.catch(() => undefined);
      looks = 0;
      const waiting = library.whoami();
      await eventually(() => expect(looks).toBeGreaterThan(0));
      credentials$.next(second.credentials);
      expect(await waiting).toBe(second.user);
      await library.close();
    },
  );

  it.each([
    ['Knex', ofKnex],
    ['Sequelize', ofSequelize],
  ] satisfies [string, Make][])(
    '%s: opened again after the end of the credentials, it fails at once with that reason',
    async (_name, make) => {
      const live$ = new BehaviorSubject((await world.issue()).credentials);
      // The stream of a CredentialsService: once it has completed, there is nothing to replay.
      const credentials$ = defer(() => (live$.isStopped ? EMPTY : live$));
      const library = await make(credentials$, { drain: 1_000, onRotation: () => undefined });
      await library.whoami();
      live$.complete();
      await library.close();
      await library.open();
      const at = performance.now();
      const error = (await failure(library.whoami())) as { parent?: unknown } | undefined;
      expect(error?.parent ?? error).toMatchObject({ code: 'VAULT_CLOSED' });
      expect(performance.now() - at).toBeLessThan(1_000);
      await library.close();
    },
  );

  const poolOf = async (): Promise<{ pool: RotatingPgPool; first: Issued }> => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = await world.issue();
    credentials$.next(first.credentials);
    const pool = new RotatingPgPool(credentials$, world.where);
    expect(await whoami(pool)).toBe(first.user);
    return { pool, first };
  };
  const GONE = { code: 'VAULT_CLOSED', hint: expect.stringContaining('Create a new pool') as string };

  it('a pool of pg cannot be opened again: pool and client factory reject with that reason', async () => {
    const { pool } = await poolOf();
    await pool.end();
    expect(await failure(pool.connect())).toMatchObject(GONE);
    expect(await failure(pool.query('select 1'))).toMatchObject(GONE);
    await expect(new Promise((resolve) => pool.connect(resolve))).resolves.toMatchObject(GONE);
    const { Client, options } = pool as unknown as {
      Client: new (o: object) => { connect(): Promise<void> };
      options: object;
    };
    expect(await failure(new Client(options).connect())).toMatchObject(GONE);
  });

  it('Kysely itself reports that it has been destroyed', async () => {
    const { pool, first } = await poolOf();
    const db = new Kysely({ dialect: new PostgresDialect({ pool }) });
    await sql`select 1`.execute(db);
    await db.destroy();
    expect(String(await failure(sql`select 1`.execute(db)))).toMatch(/destroyed/);
    await expect.poll(() => first.holds).toBe(0);
  });

  it.each([
    ['goes on with a pool of its own', false],
    ['rejects after it has ended the pool', true],
  ])('Prisma, which connects again by itself after $disconnect(), %s', async (_what, disposeExternalPool) => {
    const { pool, first } = await poolOf();
    const prisma = new PrismaClient({ adapter: new PrismaPg(pool, { disposeExternalPool }) });
    const query = () => prisma.$queryRaw<{ name: string }[]>`select current_user::text as name`;
    expect(await query()).toEqual([{ name: first.user }]);
    await prisma.$disconnect();
    if (disposeExternalPool) {
      expect(String(await failure(query()))).toMatch(/pool has been ended/);
      await expect.poll(() => first.holds).toBe(0);
    } else {
      expect(await query()).toEqual([{ name: first.user }]);
      await prisma.$disconnect();
      await pool.end();
    }
  });
});

const WHOAMI = 'select current_user as name';
