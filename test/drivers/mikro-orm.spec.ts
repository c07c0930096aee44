import * as mikroOrm from '@mikro-orm/postgresql';
import { EntitySchema, MikroORM, type Options } from '@mikro-orm/postgresql';
import { BehaviorSubject, NEVER, type Observable } from 'rxjs';
import { getCredentialsToken } from 'nestjs-vault';
import { rotatingMikroOrmOptions, type LoginCredentials } from 'nestjs-vault/mikro-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { issueByHand } from '../support/driver-load.js';
import { eventually, LeasedPostgres } from '../support/leased-postgres.js';
import { aborted, DRAIN } from '../support/leased-work.js';
import { describeReal } from '../support/real-servers.js';

class Order {
  id!: string;
  item!: string;
}
/** MikroORM 6. */
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
      { name: 'types', long: true },
      { name: 'aborted', long: true },
    ]);
  });
  afterAll(() => world?.stop());

  const start = async (role: string) => {
    const { host, port, database } = world.where;
    const app = await world.app({
      providers: [
        {
          provide: MikroORM,
          inject: [getCredentialsToken(role)],
          useFactory: (credentials$: Observable<LoginCredentials>) =>
            MikroORM.init({
              host,
              port,
              dbName: database,
              entities: [OrderSchema],
              pool: { max: 6 },
              driverOptions: rotatingMikroOrmOptions(world.guarded(credentials$), { drain: DRAIN }),
            }),
        },
      ],
    });
    const orm = app.get(MikroORM);
    const whoami = async () => {
      const rows = await orm.em.getConnection().execute<{ name: string }[]>('select current_user as name');
      return rows[0]?.name;
    };
    return { app, orm, whoami };
  };

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
});
