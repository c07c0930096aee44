import { setTimeout as sleep } from 'node:timers/promises';
import { Kysely, PostgresDialect, sql, type Generated } from 'kysely';
import { filter, firstValueFrom, type Observable } from 'rxjs';
import { CredentialsService, getCredentialsToken } from 'nestjs-vault';
import { createRotatingPgPool, type LoginCredentials } from 'nestjs-vault/pg';
import Cursor from 'pg-cursor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, LeasedPostgres } from '../support/leased-postgres.js';
import { aborted, DRAIN } from '../support/leased-work.js';
import { describeReal } from '../support/real-servers.js';
import { versionOf } from '../support/version-of.js';

interface Database {
  orders: { id: Generated<string>; item: string };
}

describeReal('Kysely on leased users', () => {
  let world: LeasedPostgres;

  beforeAll(async () => {
    world = await LeasedPostgres.start([
      { name: 'stream' },
      { name: 'late' },
      { name: 'aborted', long: true },
    ]);
  });
  afterAll(() => world?.stop());

  const start = async (role: string) => {
    const app = await world.app({
      providers: [
        {
          provide: Kysely,
          inject: [getCredentialsToken(role)],
          useFactory: async (credentials$: Observable<LoginCredentials>) => {
            const pool = await createRotatingPgPool(world.guarded(credentials$), {
              ...world.where,
              max: 6,
              drain: role === 'late' ? 300 : DRAIN,
            });
            return new Kysely<Database>({ dialect: new PostgresDialect({ pool, cursor: Cursor }) });
          },
        },
      ],
    });
    const db = app.get<Kysely<Database>>(Kysely);
    const whoami = async () => {
      const { rows } = await sql<{ name: string }>`select current_user as name`.execute(db);
      return rows[0]?.name;
    };
    return { app, db, whoami };
  };

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
});
