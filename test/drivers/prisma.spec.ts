import { PrismaPg } from '@prisma/adapter-pg';
import type { Observable } from 'rxjs';
import { getCredentialsToken } from 'nestjs-vault';
import { createRotatingPgPool, type LoginCredentials } from 'nestjs-vault/pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PrismaClient } from '../../sample/03-prisma/src/generated/prisma/client.js';
import { eventually, LeasedPostgres } from '../support/leased-postgres.js';
import { closing, DRAIN, revoked, soak, staticRole } from '../support/leased-work.js';
import { describeReal } from '../support/real-servers.js';

describeReal('Prisma on leased users', () => {
  let world: LeasedPostgres;

  beforeAll(async () => {
    world = await LeasedPostgres.start([
      { name: 'soak' },
      { name: 'revoked', long: true },
      { name: 'closing', long: true },
      { name: 'broken', long: true },
    ]);
    // The columns of the sample's schema.
    await world.postgres.query(
      `alter table orders add quantity int not null default 1, add placed_at timestamptz not null default now()`,
    );
  });
  afterAll(() => world?.stop());

  const start = async (target: Parameters<typeof getCredentialsToken>[0]) => {
    const app = await world.app({
      providers: [
        {
          provide: PrismaClient,
          inject: [getCredentialsToken(target)],
          useFactory: async (credentials$: Observable<LoginCredentials>) => {
            const pool = await createRotatingPgPool(world.guarded(credentials$), {
              ...world.where,
              max: 6,
              drain: DRAIN,
              // New connections all the time, as only logins use the password.
              ...(typeof target !== 'string' && { maxUses: 3 }),
            });
            return new PrismaClient({
              adapter: new PrismaPg(pool),
              transactionOptions: { maxWait: 5_000, timeout: 10_000 },
            });
          },
        },
      ],
    });
    const prisma = app.get(PrismaClient);
    const work = {
      query: () => prisma.order.create({ data: { item: 'tea' } }),
      transaction: (wait: () => Promise<void>) =>
        prisma.$transaction(async (transaction) => {
          await transaction.order.create({ data: { item: 'milk' } });
          await wait();
          await transaction.order.count();
        }),
    };
    const whoami = async () => {
      const [row] = await prisma.$queryRaw<{ name: string }[]>`select current_user::text as name`;
      return row?.name;
    };
    return { app, prisma, work, whoami };
  };

  it.concurrent('12 s of queries and transactions over leases of 4 s / 8 s: nothing fails', async () => {
    const { app, work, whoami, prisma } = await start('soak');
    await soak(world, { app, role: 'soak', work, whoami, printed: prisma });
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
      const { app, prisma, whoami } = await start('broken');
      const user = await whoami();
      const broken = prisma.$transaction(async (transaction) => {
        await transaction.order.count();
        await world.postgres.query(
          'select pg_terminate_backend(pid) from pg_stat_activity where usename = $1',
          [user],
        );
        await eventually(async () => expect(await world.connections('broken')).toEqual([]));
        await transaction.order.count();
      });
      await expect(broken).rejects.toThrow();
      expect(await whoami()).toBe(user);
      await prisma.$disconnect();
      await app.close();
      await world.expectGone('broken');
    },
  );
});
