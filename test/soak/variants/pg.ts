import type { DynamicModule } from '@nestjs/common';
import { getCredentialsToken, type DatabaseCredentials } from 'nestjs-vault';
import { createRotatingPgPool, type PoolEvent } from 'nestjs-vault/pg';
import type { Pool, PoolClient } from 'pg';
import Cursor from 'pg-cursor';
import type { Observable } from 'rxjs';
import { STORE, type DatabaseConfig, type Store, type Variant } from '../variant.js';
import { BATCH, expectOneRow, nextTurn, readSlowly, repeat, rowsIn, SQL } from './work.js';

class PgStore implements Store {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async query(): Promise<void> {
    const { id, write } = nextTurn();
    const { rowCount } = await this.#pool.query(write ? SQL.write : SQL.read, [id]);
    expectOneRow(rowCount);
  }

  transaction(milliseconds: number): Promise<void> {
    return this.#with(async (client) => {
      await client.query('begin');
      await client.query(SQL.insert, ['begun']);
      await repeat(milliseconds, () => client.query(SQL.sum));
      await client.query(SQL.insert, ['done']);
      await client.query('commit');
    });
  }

  cursor(milliseconds: number): Promise<void> {
    return this.#with((client) =>
      readSlowly(batches(client.query(new Cursor(SQL.rows, [rowsIn(milliseconds)]))), milliseconds),
    );
  }

  onRotation(listener: (event: PoolEvent) => void): void {
    this.#pool.on('rotation', listener);
  }

  async #with(work: (client: PoolClient) => Promise<void>): Promise<void> {
    const client = await this.#pool.connect();
    // A connection that breaks between statements would otherwise end the process; the next statement rejects.
    client.on('error', ignore);
    try {
      await work(client);
      client.off('error', ignore);
      client.release();
    } catch (error) {
      // Closed instead of released: this rolls back an open transaction.
      client.release(true);
      throw error;
    }
  }
}

const ignore = (): void => undefined;

async function* batches(cursor: Cursor<{ id: string }>): AsyncGenerator<{ id: string }> {
  for (;;) {
    const rows = await cursor.read(BATCH);
    if (rows.length === 0) return;
    yield* rows;
  }
}

/** `pg` over `createRotatingPgPool`. */
export const pgVariant: Variant = {
  module: (role: string, { application, ...database }: DatabaseConfig): DynamicModule => ({
    module: class PgModule {},
    providers: [
      {
        provide: STORE,
        inject: [getCredentialsToken(role)],
        useFactory: async (credentials$: Observable<DatabaseCredentials>): Promise<Store> =>
          new PgStore(
            await createRotatingPgPool(credentials$, { ...database, application_name: application }),
          ),
      },
    ],
    exports: [STORE],
  }),
};
