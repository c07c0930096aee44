// The parts of adapters that are the same on PostgreSQL and on MariaDB.
import type { Knex } from 'knex';
import type { DataSource } from 'typeorm';
import { held } from './held.js';

export type Rows = { name: string }[];

/** A user and a password in the config of a driver. */
export const own = (password: string | undefined) => (password === undefined ? {} : { user: 'me', password });

/** @param whoami the query for the name of the user */
export const openedTypeOrm = (dataSource: DataSource, whoami: string) => ({
  whoami: async () => (await dataSource.query<Rows>(whoami))[0]?.name,
  work: () =>
    held((wait) =>
      dataSource.transaction(async (manager) => {
        await manager.query('select 1');
        await wait();
        await manager.query('select 1');
      }),
    ),
  end: () => dataSource.destroy(),
  printed: [dataSource.options],
});

export const knexWork = (db: Knex) => () =>
  held((wait) =>
    db.transaction(async (transaction) => {
      await transaction.raw('select 1');
      await wait();
      await transaction.raw('select 1');
    }),
  );
