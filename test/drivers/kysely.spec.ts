import { setTimeout as sleep } from 'node:timers/promises';
import { CompiledQuery, Kysely, PostgresDialect, sql, type Generated } from 'kysely';
import { filter, firstValueFrom, type Observable } from 'rxjs';
import { CredentialsService, getCredentialsToken } from 'nestjs-vault';
import { createRotatingPgPool, type LoginCredentials } from 'nestjs-vault/pg';
import Cursor from 'pg-cursor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, LeasedPostgres } from '../support/leased-postgres.js';
import { aborted, closing, DRAIN, revoked, soak, staticRole } from '../support/leased-work.js';
import { describeReal } from '../support/real-servers.js';
import { versionOf } from '../support/version-of.js';

interface Database {
  orders: { id: Generated<string>; item: string };
}

describeReal('Kysely on leased users', () => {
  let world: LeasedPostgres;

  beforeAll(async () => {
    world = await LeasedPostgres.start([
      { name: 'soak' },
      { name: 'stream' },
      { name: 'late' },
      { name: 'aborted', long: true },
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
          provide: Kysely,
          inject: [getCredentialsToken(target)],
          useFactory: async (credentials$: Observable<LoginCredentials>) => {
            const pool = await createRotatingPgPool(world.guarded(credentials$), {
              ...world.where,
              max: 6,
              drain: target === 'late' ? 300 : DRAIN,
              // New connections all the time, as only logins use the password.
              ...(typeof target !== 'string' && { maxUses: 3 }),
            });
            return new Kysely<Database>({ dialect: new PostgresDialect({ pool, cursor: Cursor }) });
          },
        },
      ],
    });
    const db = app.get<Kysely<Database>>(Kysely);
    const work = {
      query: () => db.insertInto('orders').values({ item: 'tea' }).execute(),
      transaction: (wait: () => Promise<void>) =>
        db.transaction().execute(async (transaction) => {
          await transaction.insertInto('orders').values({ item: 'milk' }).execute();
          await wait();
          await transaction
            .selectFrom('orders')
            .select(sql`count(*)`.as('count'))
            .execute();
        }),
    };
    const whoami = async () => {
      const { rows } = await sql<{ name: string }>`select current_user as name`.execute(db);
      return rows[0]?.name;
    };
    return { app, db, work, whoami };
  };

  it.concurrent('12 s of queries and transactions over leases of 4 s / 8 s: nothing fails', async () => {
    const { app, work, whoami, db } = await start('soak');
    await soak(world, { app, role: 'soak', work, whoami, printed: db });
  });

  it.concurrent('a result that is read by a cursor during a rotation is read to its end', async () => {
    const { app, db, whoami } = await start('stream');
    const before = await whoami();
    const done = new AbortController();
    void firstValueFrom(
      app.get(CredentialsService).events$.pipe(filter(({ type }) => type === 'rotated')),
    ).then(() => done.abort());
    let rows = 0;
    const stream = db
      .selectFrom(sql<{ n: number }>`generate_series(1, 1000)`.as('n'))
      .selectAll()
      .stream(10);
    for await (const _row of stream) {
      rows++;
      // Reads slowly until there is another user, so that the rotation comes in the middle.
      if (rows % 10 === 0 && !done.signal.aborted) await sleep(80);
    }
    expect(rows).toBe(1_000);
    expect(done.signal.aborted).toBe(true);
    await eventually(async () => expect(await whoami()).not.toBe(before));
    await db.destroy();
    await app.close();
    await world.expectGone('stream');
  });

  it.concurrent('a stream that outlasts the drain window fails instead of hanging', async () => {
    const { app, db } = await start('late');
    const read = async () => {
      const rows = sql<{ n: number }>`generate_series(1, 10000)`.as('n');
      for await (const _row of db.selectFrom(rows).selectAll().stream(10)) await sleep(20);
    };
    await expect(read()).rejects.toThrow('Connection terminated');
    await app.close();
    await world.expectGone('late');
  });

  // Needs Kysely 0.29, which npm run test:matrix installs.
  (versionOf('kysely').startsWith('0.28.') ? it.skip : it.concurrent)(
    'an aborted query ends on the server',
    async () => {
      const { app, db, whoami } = await start('aborted');
      const query = sql`select pg_sleep(30)` as { execute(on: typeof db, options: object): Promise<unknown> };
      await aborted(world, { app, role: 'aborted', whoami }, (options) => query.execute(db, options));
    },
  );

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
      const broken = db.transaction().execute(async (transaction) => {
        await transaction.executeQuery(CompiledQuery.raw('select 1'));
        await world.postgres.query(
          'select pg_terminate_backend(pid) from pg_stat_activity where usename = $1',
          [user],
        );
        await eventually(async () => expect(await world.connections('broken')).toEqual([]));
        await transaction.executeQuery(CompiledQuery.raw('select 1'));
      });
      await expect(broken).rejects.toThrow();
      expect(await whoami()).toBe(user);
      await app.close();
      await world.expectGone('broken');
    },
  );
});
