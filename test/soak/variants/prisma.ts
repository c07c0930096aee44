import type { DynamicModule, OnModuleInit } from '@nestjs/common';
import { PrismaPg } from '@prisma/adapter-pg';
import { getCredentialsToken, type DatabaseCredentials } from 'nestjs-vault';
import { RotatingPgPool, type PoolEvent } from 'nestjs-vault/pg';
import type { Observable } from 'rxjs';
import { PrismaClient } from '../../../sample/03-prisma/src/generated/prisma/client.js';
import { STORE, type DatabaseConfig, type Store, type Variant } from '../variant.js';
import { BATCH, nextTurn, readSlowly, repeat, rowsIn } from './work.js';

/** A service like that of sample 03, with its model. */
class PrismaStore extends PrismaClient implements Store, OnModuleInit {
  readonly #pool: RotatingPgPool;

  constructor(credentials$: Observable<DatabaseCredentials>, { application, ...database }: DatabaseConfig) {
    const pool = new RotatingPgPool(credentials$, { ...database, application_name: application });
    super({ adapter: new PrismaPg(pool), transactionOptions: { maxWait: 5_000, timeout: 10_000 } });
    this.#pool = pool;
  }

  async onModuleInit(): Promise<void> {
    await this.#pool.ready();
  }

  async query(): Promise<void> {
    const { id, write } = nextTurn();
    // Both reject if there is no such row.
    if (write) await this.order.update({ where: { id }, data: { quantity: { increment: 1 } } });
    else await this.order.findUniqueOrThrow({ where: { id } });
  }

  transaction(milliseconds: number): Promise<void> {
    return this.$transaction(async (tx) => {
      await tx.order.create({ data: { item: 'begun' } });
      await repeat(
        milliseconds,
        () => tx.$queryRaw`select sum(quantity) from orders where id between 501 and 1000`,
      );
      await tx.order.create({ data: { item: 'done' } });
    });
  }

  /** Prisma has no cursors of the database: page after page, in one transaction, so on one connection. */
  cursor(milliseconds: number): Promise<void> {
    return this.$transaction((tx) => readSlowly(pages(tx, rowsIn(milliseconds)), milliseconds));
  }

  onRotation(listener: (event: PoolEvent) => void): void {
    this.#pool.on('rotation', listener);
  }
}

async function* pages({ order }: Pick<PrismaClient, 'order'>, count: number): AsyncGenerator<{ id: bigint }> {
  for (let last: bigint | undefined, read = 0; read < count; read += BATCH) {
    const rows = await order.findMany({
      select: { id: true },
      orderBy: { id: 'asc' },
      take: BATCH,
      ...(last !== undefined && { cursor: { id: last }, skip: 1 }),
    });
    yield* rows;
    last = rows.at(-1)?.id;
  }
}

/** Prisma over a `RotatingPgPool` of pg. */
export const prismaVariant: Variant = {
  module: (role: string, database: DatabaseConfig): DynamicModule => ({
    module: class PrismaModule {},
    providers: [
      {
        provide: STORE,
        inject: [getCredentialsToken(role)],
        useFactory: (credentials$: Observable<DatabaseCredentials>): Store =>
          new PrismaStore(credentials$, database),
      },
    ],
    exports: [STORE],
  }),
};
