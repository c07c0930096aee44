import { count, eq, sql } from 'drizzle-orm';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { bigint, pgTable, text } from 'drizzle-orm/pg-core';
import type { Pool } from 'pg';
import type { Observable } from 'rxjs';
import { getCredentialsToken } from 'nestjs-vault';
import { createRotatingPgPool, type LoginCredentials } from 'nestjs-vault/pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, LeasedPostgres } from '../support/leased-postgres.js';
import { closing, DRAIN, revoked, soak, staticRole } from '../support/leased-work.js';
import { describeReal } from '../support/real-servers.js';

const orders = pgTable('orders', {
  id: bigint({ mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
  item: text().notNull(),
});
type Database = NodePgDatabase & { $client: Pool };

const DRIZZLE = 'DRIZZLE';

describeReal('Drizzle on leased users', () => {
  let world: LeasedPostgres;

  beforeAll(async () => {
    world = await LeasedPostgres.start([
      { name: 'soak' },
      { name: 'revoked', long: true },
      { name: 'closing', long: true },
      { name: 'broken', long: true },
    ]);
  });
  afterAll(() => world?.stop());

  const start = async (target: Parameters<typeof getCredentialsToken>[0]) => {
    const app = await world.app({
      providers: [
        {
          provide: DRIZZLE,
          inject: [getCredentialsToken(target)],
          useFactory: async (credentials$: Observable<LoginCredentials>) => {
            const pool = await createRotatingPgPool(world.guarded(credentials$), {
              ...world.where,
              max: 6,
              drain: DRAIN,
              // New connections all the time, as only logins use the password.
              ...(typeof target !== 'string' && { maxUses: 3 }),
            });
            return drizzle({ client: pool });
          },
        },
      ],
    });
    const db = app.get<Database>(DRIZZLE);
    const work = {
      query: () => db.insert(orders).values({ item: 'tea' }),
      transaction: (wait: () => Promise<void>) =>
        db.transaction(async (outer) => {
          await outer.insert(orders).values({ item: 'milk' });
          await outer.transaction((inner) => inner.insert(orders).values({ item: 'sugar' }));
          await wait();
          await outer.select({ count: count() }).from(orders).where(eq(orders.item, 'milk'));
        }),
    };
    const whoami = async () => {
      const { rows } = await db.execute<{ name: string }>(sql`select current_user as name`);
      return rows[0]?.name;
    };
    return { app, db, work, whoami };
  };

  it.concurrent('12 s of queries and transactions over leases of 4 s / 8 s: nothing fails', async () => {
    const { app, work, whoami, db } = await start('soak');
    await soak(world, { app, role: 'soak', work, whoami, printed: db });
  });

  it.concurrent(
    'an operator revokes the lease: queries of that user fail until the next credentials',
    async () => {
      const { app, work, whoami } = await start('revoked');
      await revoked(world, { app, role: 'revoked', work, whoami });
    },
  );

  it.concurrent('a static role, whose password the server rotates every 5 s', async () => {
    const { app, work, whoami } = await start({ path: 'database/static-creds/rotated' });
    await staticRole(world, { app, work, whoami });
  });

  it.concurrent('a transaction that runs while the application closes is finished', async () => {
    const { app, work } = await start('closing');
    await closing(world, { app, role: 'closing', work });
  });

  it.concurrent(
    'connections that break, idle or in a transaction, are replaced, and end no process',
    async () => {
      const { app, db, whoami } = await start('broken');
      const user = await whoami();
      const broken = db.transaction(async (transaction) => {
        await transaction.execute(sql`select 1`);
        await world.postgres.query(
          'select pg_terminate_backend(pid) from pg_stat_activity where usename = $1',
          [user],
        );
        await eventually(async () => expect(await world.connections('broken')).toEqual([]));
        await transaction.execute(sql`select 1`);
      });
      await expect(broken).rejects.toThrow();
      expect(await whoami()).toBe(user);
      await db.$client.end();
      await app.close();
      await world.expectGone('broken');
    },
  );
});
