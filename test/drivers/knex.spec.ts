import knex, { type Knex } from 'knex';
import type { Client } from 'pg';
import { NEVER, type Observable } from 'rxjs';
import { getCredentialsToken } from 'nestjs-vault';
import { rotatingKnexClient, type LoginCredentials, type PoolEvent } from 'nestjs-vault/knex';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, LeasedPostgres } from '../support/leased-postgres.js';
import { DRAIN, staticRole, isNotifiedInTime } from '../support/leased-work.js';
import { describeReal } from '../support/real-servers.js';

const KNEX = 'KNEX';

describeReal('Knex on leased users', () => {
  let world: LeasedPostgres;

  beforeAll(async () => {
    world = await LeasedPostgres.start([
      { name: 'all' },
      { name: 'notified' },
      { name: 'cancel', long: true },
    ]);
  });
  afterAll(() => world?.stop());

  const start = async (target: Parameters<typeof getCredentialsToken>[0], config: Knex.Config = {}) => {
    const events: PoolEvent[] = [];
    const app = await world.app(
      {
        providers: [
          {
            provide: KNEX,
            inject: [getCredentialsToken(target)],
            useFactory: (credentials$: Observable<LoginCredentials>) =>
              knex({
                client: rotatingKnexClient(world.guarded(credentials$), {
                  drain: DRAIN,
                  onRotation: (event) => events.push(event),
                }),
                connection: world.where,
                pool: { min: 0, max: 6 },
                ...config,
              }),
          },
        ],
      },
      target === 'all' ? target : undefined,
    );
    const db = app.get<Knex>(KNEX);
    const work = {
      query: async () => db('orders').insert({ item: 'tea' }),
      transaction: (wait: () => Promise<void>) =>
        db.transaction(async (outer) => {
          await outer('orders').insert({ item: 'milk' });
          await outer.transaction((inner) => inner('orders').insert({ item: 'sugar' }));
          await wait();
          await outer('orders').count();
        }),
    };
    const whoami = async () => {
      const { rows } = await db.raw<{ rows: { name: string }[] }>('select current_user as name');
      return rows[0]?.name;
    };
    return { app, db, events, work, whoami };
  };

  it.concurrent(
    'all pooled connections rotate, not only the first; idle ones without being used',
    async () => {
      const { app, db, events } = await start('all');
      const fill = async () => {
        const all = await Promise.all(Array.from({ length: 6 }, () => db.transaction()));
        const users = await Promise.all(
          all.map(async (trx) => (await trx.raw('select current_user as name')).rows[0].name as string),
        );
        await Promise.all(all.map((trx) => trx.commit()));
        return users;
      };
      const before = await fill();
      expect(new Set(before).size).toBe(1);
      expect(await world.connections('all')).toEqual(before);
      await eventually(() => expect(events.map(({ type }) => type)).toEqual(['rotated']));
      await eventually(async () => expect(await world.connections('all')).toEqual([]));
      const after = await fill();
      expect(after).toEqual(Array(6).fill(after[0]));
      expect(after[0]).not.toBe(before[0]);
      expect(await world.connections('all')).toEqual(after);
      await db.destroy();
      await eventually(async () => expect(await world.connections('all')).toEqual([]));
      await app.close();
      await world.expectGone('all');
    },
  );

  it.concurrent(
    "Knex's own options work: afterCreate, validate, searchPath, and cancelling a query",
    async () => {
      const created: unknown[] = [];
      let good = true;
      const { app, db } = await start('cancel', {
        searchPath: ['pg_catalog', 'public'],
        pool: {
          min: 0,
          max: 1,
          afterCreate: (connection: unknown, done: (error?: Error) => void) => {
            created.push(connection);
            done();
          },
          validate: () => good || !(good = true),
        },
      });
      const { rows } = await db.raw('show search_path');
      expect(rows).toEqual([{ search_path: 'pg_catalog, public' }]);
      await db.raw('select 1');
      expect(created.length).toBe(1);
      good = false;
      await db.raw('select 1');
      expect(created.length).toBe(2);
      good = true;
      const at = performance.now();
      await expect(db.raw('select pg_sleep(10)').timeout(300, { cancel: true })).rejects.toThrow(/timeout/i);
      expect(performance.now() - at).toBeLessThan(4_000);
      await app.close();
      await world.expectGone('cancel');
    },
  );

  it.concurrent('a static role, whose password the server rotates every 5 s', async () => {
    const { app, work, whoami } = await start(
      { path: 'database/static-creds/rotated' },
      // New connections all the time, as only logins use the password.
      { pool: { min: 0, max: 6, maxConnectionLifetimeMillis: 50 } },
    );
    await staticRole(world, { app, work, whoami });
  });

  it.concurrent('a kept connection is notified in time of another user', async () => {
    const { app, db, whoami } = await start('notified');
    const acquire = () => db.client.acquireConnection() as Promise<Client>;
    const release = (connection: Client) => db.client.releaseConnection(connection) as Promise<void>;
    await isNotifiedInTime(world, { app, role: 'notified', whoami }, acquire, release);
  });

  it.concurrent.each([
    ['user', { user: 'canary-value' }],
    ['password', { password: 'canary-value' }],
    ['connectionString', { connectionString: 'canary-value' }],
    ['user', 'postgres://someone:canary-value@localhost/app'],
  ])('refuses a connection that names `%s`', (key, connection) => {
    expect(() => knex({ client: rotatingKnexClient(NEVER), connection })).toThrow(
      expect.objectContaining({
        code: 'VAULT_CONFIG_INVALID',
        message: expect.stringContaining(`\`connection.${key}\``) as string,
      }),
    );
  });

  it.concurrent('refuses a function as connection, as that would supply credentials', () => {
    expect(() => knex({ client: rotatingKnexClient(NEVER), connection: () => ({}) })).toThrow(
      expect.objectContaining({ code: 'VAULT_CONFIG_INVALID' }),
    );
  });
});
