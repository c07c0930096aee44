import createKnex from 'knex';
import {
  createRotatingMysqlPool,
  knexPool,
  rotatingMysqlDriver,
  RotatingMysqlPool,
} from 'nestjs-vault/mysql2';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll } from 'vitest';
import { startMariaDb, type MariaDbServer } from '../../support/mariadb.mjs';
import { describeMariaDb } from '../../support/real-mariadb.js';
import { poolContract, type Adapter, type ContractServer } from './contract.js';
import { held } from './held.js';
import { knexWork, openedTypeOrm, own, type Rows } from './sql-libraries.js';

const WHOAMI = `select substring_index(user(), '@', 1) as name`;

describeMariaDb('the contract of pools, on MariaDB', () => {
  let mariadb: MariaDbServer;
  beforeAll(async () => {
    mariadb = await startMariaDb();
  });
  afterAll(() => mariadb?.stop());

  const where = () => ({ host: mariadb.host, port: mariadb.port, database: mariadb.database });
  const server = (): ContractServer => ({
    creation: [
      "create user `{{name}}`@'%' identified by '{{password}}'",
      "grant select, insert on *.* to `{{name}}`@'%'",
    ],
    password: ["alter user `{{name}}`@'%' identified by '{{password}}'"],
    revocation: ["drop user if exists `{{name}}`@'%'"],
    disconnect: "kill user `{{name}}`@'%'",
    sessionsOutliveUser: true,
    run: (statement) => mariadb.query(statement),
    exists: async (user) =>
      (await mariadb.query('select 1 from mysql.user where user = ?', [user])).length > 0,
    connections: async (user) =>
      (await mariadb.query('select 1 from information_schema.processlist where user = ?', [user])).length,
    stop: () => mariadb.stop(),
  });

  const adapters: Adapter[] = [
    {
      name: 'mysql2',
      driver: 'mysql2',
      async open(credentials$, { drain, onRotation, own: password }) {
        const config = { ...where(), connectionLimit: 4, drain, ...own(password) };
        const pool = await createRotatingMysqlPool(credentials$, config);
        pool.on('rotation', onRotation);
        return {
          whoami: async () => ((await pool.query(WHOAMI))[0] as Rows)[0]?.name,
          work: () =>
            held(async (wait) => {
              const connection = await pool.getConnection();
              try {
                await connection.beginTransaction();
                await wait();
                await connection.commit();
              } finally {
                connection.release();
              }
            }),
          end: () => pool.end(),
          counters: () => pool.counters,
          printed: [pool, pool.pool],
        };
      },
    },
    {
      name: 'TypeORM (mysql2)',
      driver: 'mysql2',
      async open(credentials$, { drain, onRotation, own: password }) {
        const dataSource = await new DataSource({
          type: 'mariadb',
          driver: rotatingMysqlDriver(credentials$, { drain, onRotation }),
          ...where(),
          poolSize: 4,
          ...(password !== undefined && { username: 'me', password }),
        }).initialize();
        return openedTypeOrm(dataSource, WHOAMI);
      },
    },
    {
      name: 'Knex (mysql2)',
      driver: 'mysql2',
      notApplicable: { own: 'The library gets a pool of mysql2; see its row.' },
      async open(credentials$, { drain, onRotation }) {
        const pool = new RotatingMysqlPool(credentials$, { ...where(), connectionLimit: 4, drain });
        pool.on('rotation', onRotation);
        const db = createKnex({ client: 'mysql2', connectionPool: knexPool(pool) });
        await pool.ready();
        return {
          whoami: async () => ((await db.raw(WHOAMI)) as [Rows])[0][0]?.name,
          work: knexWork(db),
          end: async () => {
            await db.destroy();
            await new Promise((resolve) => pool.end(resolve));
          },
          counters: () => pool.counters,
          printed: [db, pool],
        };
      },
    },
  ];
  for (const adapter of adapters) poolContract(adapter, server);
});
