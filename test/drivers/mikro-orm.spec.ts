import * as mikroOrm from '@mikro-orm/postgresql';
import { EntitySchema, MikroORM, type Options } from '@mikro-orm/postgresql';
import { BehaviorSubject, NEVER, type Observable } from 'rxjs';
import { getCredentialsToken } from 'nestjs-vault';
import { rotatingMikroOrmOptions, type LoginCredentials, type PoolEvent } from 'nestjs-vault/mikro-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { issueByHand } from '../support/driver-load.js';
import { eventually, LeasedPostgres } from '../support/leased-postgres.js';
import { aborted, closing, DRAIN, revoked, soak, staticRole } from '../support/leased-work.js';
import { describeReal } from '../support/real-servers.js';

class Order {
  id!: string;
  item!: string;
}
/** MikroORM 7 has no such option. */
const USES_KNEX = 'PostgreSqlKnexDialect' in mikroOrm;
const OrderSchema = new EntitySchema<Order>({
  class: Order,
  tableName: 'orders',
  properties: {
    id: { type: 'bigint', primary: true, generated: 'identity' },
    item: { type: 'text' },
  },
});

describeReal('MikroORM on leased users', () => {
  let world: LeasedPostgres;

  beforeAll(async () => {
    world = await LeasedPostgres.start([
      { name: 'soak' },
      { name: 'types', long: true },
      { name: 'aborted', long: true },
      { name: 'revoked', long: true },
      { name: 'closing', long: true },
    ]);
  });
  afterAll(() => world?.stop());

  const start = async (target: Parameters<typeof getCredentialsToken>[0]) => {
    const events: PoolEvent[] = [];
    const { host, port, database } = world.where;
    // New connections all the time, as only logins use the password.
    const uses = typeof target === 'string' ? {} : { maxUses: 3 };
    const app = await world.app({
      providers: [
        {
          provide: MikroORM,
          inject: [getCredentialsToken(target)],
          useFactory: (credentials$: Observable<LoginCredentials>) =>
            MikroORM.init({
              host,
              port,
              dbName: database,
              entities: [OrderSchema],
              pool: { max: 6, ...(USES_KNEX && uses) },
              driverOptions: {
                ...rotatingMikroOrmOptions(world.guarded(credentials$), {
                  drain: DRAIN,
                  onRotation: (event) => events.push(event),
                }),
                ...(!USES_KNEX && uses),
              },
            }),
        },
      ],
    });
    const orm = app.get(MikroORM);
    const work = {
      query: () => orm.em.fork().insert(Order, { item: 'tea' }),
      transaction: (wait: () => Promise<void>) =>
        orm.em.fork().transactional(async (outer) => {
          await outer.insert(Order, { item: 'milk' });
          await outer.transactional((inner) => inner.insert(Order, { item: 'sugar' }));
          await wait();
          await outer.count(Order);
        }),
    };
    const whoami = async () => {
      const rows = await orm.em.getConnection().execute<{ name: string }[]>('select current_user as name');
      return rows[0]?.name;
    };
    return { app, orm, events, work, whoami };
  };

  it.concurrent('12 s of queries and transactions over leases of 4 s / 8 s: nothing fails', async () => {
    const { app, orm, events, work, whoami } = await start('soak');
    await soak(world, { app, role: 'soak', work, whoami, printed: orm.em.getConnection() });
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['rotated']));
  });

  it.concurrent('dates are parsed as MikroORM does, and close() ends the pool', async () => {
    const { app, orm } = await start('types');
    const rows = await orm.em.getConnection().execute(`select timestamptz '2026-01-02 03:04:05+00' as at`);
    expect(rows).toEqual([{ at: expect.stringMatching(/^2026-01-02 03:04:05/) as string }]);
    await orm.close();
    await eventually(async () => expect(await world.connections('types')).toEqual([]));
    await app.close();
    await world.expectGone('types');
  });

  // Needs MikroORM 7, which npm run test:matrix installs.
  (USES_KNEX ? it.skip : it.concurrent)('an aborted query ends on the server', async () => {
    const { app, orm, whoami } = await start('aborted');
    const connection = orm.em.getConnection() as { execute(...all: unknown[]): Promise<unknown> };
    await aborted(world, { app, role: 'aborted', whoami }, (options) =>
      connection.execute('select pg_sleep(30)', [], 'all', undefined, options),
    );
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

  it.concurrent.each<Partial<Options>>([
    { password: 'canary-value' },
    { clientUrl: 'postgresql://someone:canary-value@127.0.0.1:1/orders' },
  ])('refuses options with a password', async (options) => {
    const starting = MikroORM.init({
      dbName: 'orders',
      entities: [OrderSchema],
      driverOptions: rotatingMikroOrmOptions(NEVER),
      ...options,
    }).then((orm) => orm.connect());
    await expect(starting).rejects.toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
  });

  it.concurrent('a connected but unused ORM holds nothing once it is closed', async () => {
    const one = issueByHand();
    await world.postgres.query(`create role "${one.user}" login password '${one.password}'`);
    const { host, port, database } = world.where;
    const credentials$ = new BehaviorSubject<LoginCredentials>(one.credentials);
    const driverOptions = rotatingMikroOrmOptions(credentials$);
    const orm = await MikroORM.init({ host, port, dbName: database, entities: [OrderSchema], driverOptions });
    // MikroORM 6 has connected already, and would lose that client.
    if (!USES_KNEX) await orm.connect();
    await orm.close();
    await eventually(() => expect([credentials$.observed, one.holds]).toEqual([false, 0]));
  });

  it.concurrent('a transaction that runs while the application closes is finished', async () => {
    const { app, work } = await start('closing');
    await closing(world, { app, role: 'closing', work });
  });
});
