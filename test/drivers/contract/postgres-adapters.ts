import { inspect } from 'node:util';
import { MikroORM } from '@mikro-orm/postgresql';
import { PrismaPg } from '@prisma/adapter-pg';
import { drizzle } from 'drizzle-orm/node-postgres';
import { sql as drizzleSql } from 'drizzle-orm';
import knex from 'knex';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { rotatingKnexClient } from 'nestjs-vault/knex';
import { rotatingMikroOrmOptions } from 'nestjs-vault/mikro-orm';
import { createRotatingPgPool } from 'nestjs-vault/pg';
import { rotatingSequelizeOptions } from 'nestjs-vault/sequelize';
import { rotatingTypeOrmDriver } from 'nestjs-vault/typeorm';
import { QueryTypes, Sequelize } from 'sequelize';
import { DataSource } from 'typeorm';
import { PrismaClient } from '../../../sample/03-prisma/src/generated/prisma/client.js';
import type { Adapter } from './contract.js';
import { held } from './held.js';
import { knexWork, openedTypeOrm, own, type Rows } from './sql-libraries.js';

/** Of a table that is granted to the role of the users, so that it is denied to dropped users. */
const WHOAMI = 'select session_user::text as name from things';
type Where = { host: string; port: number; database: string };
type Open = Adapter['open'];

export const postgresAdapters = (where: () => Where): Adapter[] => {
  const pgPool = async (...[credentials$, options]: Parameters<Open>) => {
    const { drain, onRotation, own: password } = options;
    const config = { ...where(), max: 4, drain, ...own(password) };
    const pool = await createRotatingPgPool(credentials$, config);
    return pool.on('rotation', onRotation);
  };
  const viaPg = 'The library gets a pool of pg; see its row.';
  return [
    {
      name: 'pg',
      driver: 'pg',
      async open(...args) {
        const pool = await pgPool(...args);
        return {
          whoami: async () => (await pool.query<{ name: string }>(WHOAMI)).rows[0]?.name,
          work: () =>
            held(async (wait) => {
              const client = await pool.connect();
              try {
                await client.query('begin');
                await wait();
                await client.query('commit');
              } finally {
                client.release();
              }
            }),
          end: () => pool.end(),
          counters: () => pool.counters,
          printed: [pool],
        };
      },
    },
    {
      name: 'Kysely (pg)',
      driver: 'pg',
      notApplicable: { rejects: viaPg, own: viaPg },
      async open(...args) {
        const pool = await pgPool(...args);
        const db = new Kysely<object>({ dialect: new PostgresDialect({ pool }) });
        return {
          whoami: async () => (await sql.raw<{ name: string }>(WHOAMI).execute(db)).rows[0]?.name,
          work: () =>
            held((wait) =>
              db.transaction().execute(async (transaction) => {
                await sql`select 1`.execute(transaction);
                await wait();
                await sql`select 1`.execute(transaction);
              }),
            ),
          end: async () => {
            await db.destroy();
            if (!pool.ending) await pool.end();
          },
          counters: () => pool.counters,
          printed: [db],
        };
      },
    },
    {
      name: 'Drizzle (pg)',
      driver: 'pg',
      notApplicable: { rejects: viaPg, own: viaPg },
      async open(...args) {
        const pool = await pgPool(...args);
        const db = drizzle({ client: pool });
        return {
          whoami: async () => (await db.execute<{ name: string }>(drizzleSql.raw(WHOAMI))).rows[0]?.name,
          work: () =>
            held((wait) =>
              db.transaction(async (transaction) => {
                await transaction.execute(drizzleSql`select 1`);
                await wait();
                await transaction.execute(drizzleSql`select 1`);
              }),
            ),
          end: () => pool.end(),
          counters: () => pool.counters,
          printed: [db],
        };
      },
    },
    {
      name: 'Prisma (pg)',
      driver: 'pg',
      // Each new client compiles its query compiler for seconds, during which no timer fires.
      alone: true,
      notApplicable: {
        closes: viaPg,
        refused: viaPg,
        late: viaPg,
        dropped: viaPg,
        waits: viaPg,
        rejects: viaPg,
        own: viaPg,
        listed: viaPg,
        clock: viaPg,
      },
      async open(...args) {
        const pool = await pgPool(...args);
        const prisma = new PrismaClient({
          adapter: new PrismaPg(pool),
          transactionOptions: { maxWait: 5_000, timeout: 30_000 },
        });
        return {
          whoami: async () => (await prisma.$queryRawUnsafe<Rows>(WHOAMI))[0]?.name,
          work: () =>
            held((wait) =>
              prisma.$transaction(async (transaction) => {
                await transaction.$queryRawUnsafe('select 1');
                await wait();
                await transaction.$queryRawUnsafe('select 1');
              }),
            ),
          end: async () => {
            await prisma.$disconnect();
            if (!pool.ending) await pool.end();
          },
          counters: () => pool.counters,
          // With its models, a client takes 18 s to print as deeply as the others.
          printed: [pool, inspect(prisma, { depth: 5 })],
        };
      },
    },
    {
      name: 'TypeORM (pg)',
      driver: 'pg',
      async open(credentials$, { drain, onRotation, own: password }) {
        const dataSource = await new DataSource({
          type: 'postgres',
          driver: rotatingTypeOrmDriver(credentials$, { drain, onRotation }),
          ...where(),
          poolSize: 4,
          ...(password !== undefined && { username: 'me', password }),
        }).initialize();
        return openedTypeOrm(dataSource, WHOAMI);
      },
    },
    {
      name: 'Knex (pg)',
      driver: 'pg',
      wrapsRejection: true,
      async open(credentials$, { drain, onRotation, own: password }) {
        const db = knex({
          client: rotatingKnexClient(credentials$, { drain, onRotation }),
          connection: { ...where(), ...own(password) },
          pool: { min: 0, max: 4 },
        });
        const whoami = async () => (await db.raw<{ rows: Rows }>(WHOAMI)).rows[0]?.name;
        await whoami();
        return {
          whoami,
          work: knexWork(db),
          end: () => db.destroy(),
          printed: [db],
        };
      },
    },
    {
      name: 'Sequelize (pg)',
      driver: 'pg',
      wrapsRejection: true,
      async open(credentials$, { drain, onRotation, own: password }) {
        const config = {
          dialect: 'postgres' as const,
          ...where(),
          pool: { max: 4 },
          logging: false as const,
        };
        const refused = { ...config, username: 'me', password } as unknown as typeof config;
        const sequelize = new Sequelize(
          rotatingSequelizeOptions(credentials$, password === undefined ? config : refused, {
            drain,
            onRotation,
          }),
        );
        const whoami = async () =>
          (await sequelize.query<{ name: string }>(WHOAMI, { type: QueryTypes.SELECT }))[0]?.name;
        await whoami();
        return {
          whoami,
          work: () =>
            held((wait) =>
              sequelize.transaction(async (transaction) => {
                await sequelize.query('select 1', { transaction });
                await wait();
                await sequelize.query('select 1', { transaction });
              }),
            ),
          end: () => sequelize.close(),
          printed: [sequelize],
        };
      },
    },
    {
      name: 'MikroORM (pg)',
      driver: 'pg',
      wrapsRejection: true,
      async open(credentials$, { drain, onRotation, own: password }) {
        const { host, port, database } = where();
        const orm = await MikroORM.init({
          host,
          port,
          dbName: database,
          entities: [],
          discovery: { warnWhenNoEntities: false },
          pool: { max: 4 },
          driverOptions: rotatingMikroOrmOptions(credentials$, { drain, onRotation }),
          ...(password !== undefined && { password }),
        });
        const whoami = async () => ((await orm.em.getConnection().execute(WHOAMI)) as Rows)[0]?.name;
        await whoami();
        return {
          whoami,
          work: () =>
            held((wait) =>
              orm.em.fork().transactional(async (manager) => {
                await manager.execute('select 1');
                await wait();
                await manager.execute('select 1');
              }),
            ),
          end: () => orm.close(),
          printed: [orm.config],
        };
      },
    },
  ];
};
