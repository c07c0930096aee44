import { setTimeout as sleep } from 'node:timers/promises';
import type { DynamicModule } from '@nestjs/common';
import { getCredentialsToken, type DatabaseCredentials } from 'nestjs-vault';
import { createRotatingPool, type PoolEvent } from 'nestjs-vault/pg';
import type { Pool, PoolClient } from 'pg';
import Cursor from 'pg-cursor';
import type { Observable } from 'rxjs';
import { STORE, type DatabaseConfig, type Store, type Variant } from '../variant.js';

/** Milliseconds between the statements of a transaction, and between the batches of a cursor. */
const STEP = 200;
const BATCH = 20;

class PgStore implements Store {
  readonly #pool: Pool;
  #count = 0;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async query(): Promise<void> {
    const id = (++this.#count % 500) + 1;
    // Rows of their own: no short query ever waits for a lock that a transaction holds.
    const sql =
      id % 4 === 0
        ? 'update things set value = value + 1 where id = $1 returning value'
        : 'select value from things where id = $1';
    const { rowCount } = await this.#pool.query(sql, [id]);
    if (rowCount !== 1) throw new Error('a row is missing');
  }

  transaction(milliseconds: number): Promise<void> {
    return this.#with(async (client) => {
      const end = performance.now() + milliseconds;
      await client.query('begin');
      await client.query('insert into notes (text) values ($1)', ['begun']);
      while (performance.now() < end) {
        await sleep(Math.min(STEP, Math.max(end - performance.now(), 0)));
        await client.query('select sum(value) from things where id > 500');
      }
      await client.query('insert into notes (text) values ($1)', ['done']);
      await client.query('commit');
    });
  }

  cursor(milliseconds: number): Promise<void> {
    return this.#with(async (client) => {
      const end = performance.now() + milliseconds;
      const gone = ended(client);
      const cursor = client.query(new Cursor<{ id: number }>('select id from things order by id'));
      for (let last = 0; performance.now() < end;) {
        const rows = await cursor.read(BATCH);
        if (rows.length === 0) break;
        if (rows.some(({ id }) => id !== ++last)) throw new Error('a row of the cursor is missing');
        await sleep(STEP);
      }
      await Promise.race([cursor.close(), gone]);
    });
  }

  onRotation(listener: (event: PoolEvent) => void): void {
    this.#pool.on('rotation', listener);
  }

  async #with(work: (client: PoolClient) => Promise<void>): Promise<void> {
    const client = await this.#pool.connect();
    // One that breaks while no statement runs would end the process; the next statement tells.
    client.on('error', ignore);
    try {
      await work(client);
      client.off('error', ignore);
      client.release();
    } catch (error) {
      // Closed rather than given back: whatever was begun on it is rolled back with it.
      client.release(true);
      throw error;
    }
  }
}

const ignore = () => undefined;

/** Rejects when the connection ends: a cursor waits for ever to be closed on one that has. */
function ended(client: PoolClient): Promise<never> {
  const gone = new Promise<never>((_resolve, reject) => {
    client.once('end', () => reject(new Error('The connection ended under the cursor.')));
  });
  gone.catch(ignore);
  return gone;
}

/** `pg` over `createRotatingPool`. */
export const pgVariant: Variant = {
  name: 'pg',
  module: (role: string, { application, ...database }: DatabaseConfig): DynamicModule => ({
    module: class PgModule {},
    providers: [
      {
        provide: STORE,
        inject: [getCredentialsToken(role)],
        useFactory: async (credentials$: Observable<DatabaseCredentials>): Promise<Store> =>
          new PgStore(await createRotatingPool(credentials$, { ...database, application_name: application })),
      },
    ],
    exports: [STORE],
  }),
};
