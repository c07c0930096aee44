import type { DynamicModule } from '@nestjs/common';
import type { ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { getCredentialsToken, type DatabaseCredentials } from 'nestjs-vault';
import { createRotatingMysqlPool, type PoolEvent, type RotatingMysqlPromisePool } from 'nestjs-vault/mysql2';
import type { Observable } from 'rxjs';
import { STORE, type DatabaseConfig, type Store, type Variant } from '../variant.js';
import { expectOneRow, nextTurn, readSlowly, repeat, rowsIn, SQL } from './work.js';

const INSERT = 'insert into orders (item) values (?)';

class MariaDbStore implements Store {
  readonly #pool: RotatingMysqlPromisePool;

  constructor(pool: RotatingMysqlPromisePool) {
    this.#pool = pool;
  }

  async query(): Promise<void> {
    const { id, write } = nextTurn();
    if (write) {
      const sql = 'update orders set quantity = quantity + 1 where id = ?';
      const [{ affectedRows }] = await this.#pool.query<ResultSetHeader>(sql, [id]);
      expectOneRow(affectedRows);
    } else {
      const sql = 'select quantity from orders where id = ?';
      const [rows] = await this.#pool.query<RowDataPacket[]>(sql, [id]);
      expectOneRow(rows.length);
    }
  }

  async transaction(milliseconds: number): Promise<void> {
    const connection = await this.#pool.getConnection();
    try {
      await connection.beginTransaction();
      await connection.execute(INSERT, ['begun']);
      await repeat(milliseconds, () => connection.query(SQL.sum));
      await connection.execute(INSERT, ['done']);
      await connection.commit();
      connection.release();
    } catch (error) {
      // Closed instead of released: this rolls back an open transaction.
      connection.destroy();
      throw error;
    }
  }

  /** Wide rows: so no buffer holds all of a long result, and the server has to wait for the reader. */
  async cursor(milliseconds: number): Promise<void> {
    const sql = `select id, repeat('x', 4000) as filler from orders where id <= ? order by id`;
    // The promise API has no streams; this one releases its connection at the end.
    await readSlowly(this.#pool.pool.query(sql, [rowsIn(milliseconds)]).stream(), milliseconds);
  }

  onRotation(listener: (event: PoolEvent) => void): void {
    this.#pool.on('rotation', listener);
  }
}

/** mysql2 over `createRotatingMysqlPool`. */
export const mariadbVariant: Variant = {
  module: (role: string, { host, port, database, max, drain }: DatabaseConfig): DynamicModule => ({
    module: class MariaDbModule {},
    providers: [
      {
        provide: STORE,
        inject: [getCredentialsToken(role)],
        useFactory: async (credentials$: Observable<DatabaseCredentials>): Promise<Store> =>
          new MariaDbStore(
            await createRotatingMysqlPool(credentials$, {
              host,
              port,
              database,
              connectionLimit: max,
              drain,
            }),
          ),
      },
    ],
    exports: [STORE],
  }),
};
