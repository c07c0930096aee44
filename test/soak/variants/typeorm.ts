import type { DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { getCredentialsToken, type DatabaseCredentials } from 'nestjs-vault';
import { rotatingTypeOrmDriver, type PoolEvent } from 'nestjs-vault/typeorm';
import { Subject, type Observable } from 'rxjs';
import { DataSource } from 'typeorm';
import { STORE, type DatabaseConfig, type Store, type Variant } from '../variant.js';
import { expectOneRow, nextTurn, readSlowly, repeat, rowsIn, SQL } from './work.js';

class TypeOrmStore implements Store {
  readonly #dataSource: DataSource;
  readonly #events$: Observable<PoolEvent>;

  constructor(dataSource: DataSource, events$: Observable<PoolEvent>) {
    this.#dataSource = dataSource;
    this.#events$ = events$;
  }

  async query(): Promise<void> {
    const { id, write } = nextTurn();
    if (write) {
      const [, affected] = await this.#dataSource.query<[unknown, number]>(SQL.write, [id]);
      expectOneRow(affected);
    } else {
      expectOneRow((await this.#dataSource.query<unknown[]>(SQL.read, [id])).length);
    }
  }

  transaction(milliseconds: number): Promise<void> {
    return this.#dataSource.transaction(async (manager) => {
      await manager.query(SQL.insert, ['begun']);
      await repeat(milliseconds, () => manager.query(SQL.sum));
      await manager.query(SQL.insert, ['done']);
    });
  }

  async cursor(milliseconds: number): Promise<void> {
    const runner = this.#dataSource.createQueryRunner();
    try {
      // Reads a hundred rows at a time.
      await readSlowly(await runner.stream(SQL.rows, [rowsIn(milliseconds)]), milliseconds);
    } finally {
      await runner.release();
    }
  }

  onRotation(listener: (event: PoolEvent) => void): void {
    this.#events$.subscribe(listener);
  }
}

/** TypeORM over `rotatingTypeOrmDriver`. */
export const typeormVariant: Variant = {
  module: (role: string, { application, max, drain, ...database }: DatabaseConfig): DynamicModule => {
    const events$ = new Subject<PoolEvent>();
    return {
      module: class TypeOrmVariantModule {},
      imports: [
        TypeOrmModule.forRootAsync({
          inject: [getCredentialsToken(role)],
          useFactory: (credentials$: Observable<DatabaseCredentials>) => ({
            type: 'postgres',
            driver: rotatingTypeOrmDriver(credentials$, {
              drain,
              onRotation: (event) => events$.next(event),
            }),
            ...database,
            applicationName: application,
            poolSize: max,
          }),
        }),
      ],
      providers: [
        {
          provide: STORE,
          inject: [DataSource],
          useFactory: (dataSource: DataSource): Store => new TypeOrmStore(dataSource, events$),
        },
      ],
      exports: [STORE],
    };
  },
};
