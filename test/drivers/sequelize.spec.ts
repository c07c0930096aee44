import type { Client } from 'pg';
import { NEVER, type Observable } from 'rxjs';
import { DataTypes, QueryTypes, Sequelize, type CreationOptional, type Model } from 'sequelize';
import { getCredentialsToken } from 'nestjs-vault';
import {
  rotatingSequelizeOptions,
  type LoginCredentials,
  type PoolEvent,
  type RotatingSequelizeOptions,
} from 'nestjs-vault/sequelize';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, LeasedPostgres } from '../support/leased-postgres.js';
import { DRAIN, staticRole, isNotifiedInTime } from '../support/leased-work.js';
import { describeReal } from '../support/real-servers.js';

interface Order extends Model {
  id: CreationOptional<string>;
  item: string;
}

describeReal('Sequelize on leased users', () => {
  let world: LeasedPostgres;

  beforeAll(async () => {
    world = await LeasedPostgres.start([{ name: 'all' }, { name: 'notified' }, { name: 'replicas' }]);
  });
  afterAll(() => world?.stop());

  const start = async (
    target: Parameters<typeof getCredentialsToken>[0],
    options: Partial<RotatingSequelizeOptions> = {},
  ) => {
    const events: PoolEvent[] = [];
    const app = await world.app(
      {
        providers: [
          {
            provide: Sequelize,
            inject: [getCredentialsToken(target)],
            useFactory: async (credentials$: Observable<LoginCredentials>) => {
              const sequelize = new Sequelize(
                rotatingSequelizeOptions(
                  world.guarded(credentials$),
                  {
                    dialect: 'postgres',
                    ...world.where,
                    pool: { max: 6 },
                    logging: (sql) => world.apps.note(sql),
                    ...options,
                  },
                  { drain: DRAIN, onRotation: (event) => events.push(event) },
                ),
              );
              sequelize.define(
                'Order',
                {
                  id: {
                    type: DataTypes.BIGINT,
                    primaryKey: true,
                    autoIncrementIdentity: true,
                    autoIncrement: true,
                  },
                  item: { type: DataTypes.TEXT, allowNull: false },
                },
                { tableName: 'orders', timestamps: false },
              );
              await sequelize.authenticate();
              return sequelize;
            },
          },
        ],
      },
      target === 'all' || target === 'replicas' ? target : undefined,
    );
    const sequelize = app.get(Sequelize);
    const orders = sequelize.model('Order') as unknown as typeof Model & { new (): Order };
    const work = {
      query: () => orders.create({ item: 'tea' }),
      transaction: (wait: () => Promise<void>) =>
        sequelize.transaction(async (outer) => {
          await orders.create({ item: 'milk' }, { transaction: outer });
          await sequelize.transaction({ transaction: outer }, (inner) =>
            orders.create({ item: 'sugar' }, { transaction: inner }),
          );
          await wait();
          await orders.count({ transaction: outer });
        }),
    };
    const whoami = async () => {
      const [row] = await sequelize.query<{ name: string }>('select current_user as name', {
        type: QueryTypes.SELECT,
      });
      return row?.name;
    };
    return { app, sequelize, events, work, whoami };
  };
  const fill = (sequelize: Sequelize, count: number, type: 'read' | 'write' = 'write') =>
    Promise.all(
      Array.from({ length: count }, () =>
        // The types distinguish read and write, the manager SELECT and other statements.
        sequelize.connectionManager.getConnection({
          type: (type === 'read' ? 'SELECT' : 'UPDATE') as 'read',
        }),
      ),
    ).then((all) => all.forEach((one) => sequelize.connectionManager.releaseConnection(one)));

  /** Fills the pools until all connections are of one user, as a rotation may come between. */
  const filled = async (role: string, fillAll: () => Promise<unknown>, check: (users: string[]) => void) => {
    let user = '';
    await eventually(async () => {
      await fillAll();
      const users = await world.connections(role);
      check(users);
      expect(new Set(users).size).toBe(1);
      user = users[0]!;
    });
    return user;
  };

  it.concurrent('all pooled connections rotate; idle ones without being used', async () => {
    const { app, sequelize, events } = await start('all');
    const six = (users: string[]) => expect(users).toHaveLength(6);
    const before = await filled('all', () => fill(sequelize, 6), six);
    const rotated = events.length;
    await eventually(() => expect(events.length).toBeGreaterThan(rotated));
    await eventually(async () => expect(await world.connections('all')).toEqual([]));
    expect(await filled('all', () => fill(sequelize, 6), six)).not.toBe(before);
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['rotated']));
    await sequelize.close();
    await eventually(async () => expect(await world.connections('all')).toEqual([]));
    await app.close();
    await world.expectGone('all');
  });

  it.concurrent(
    'replication: the pools of both kinds rotate, each server with its own verification',
    async () => {
      const other = { ...world.where, host: 'localhost' };
      const { app, sequelize, events } = await start('replicas', {
        replication: { write: world.where, read: [other, world.where] },
      });
      const both = () => Promise.all([fill(sequelize, 3), fill(sequelize, 4, 'read')]);
      // If it had to remove broken connections first, Sequelize's pool makes more than requested.
      const seven = (users: string[]) => expect(users.length).toBeGreaterThanOrEqual(7);
      const before = await filled('replicas', both, (users) => expect(users).toHaveLength(7));
      const rotated = events.length;
      // Connections of both pools.
      await eventually(() => expect(events.length).toBeGreaterThanOrEqual(rotated + 2));
      await eventually(async () => expect(await world.connections('replicas')).toEqual([]));
      expect(await filled('replicas', both, seven)).not.toBe(before);
      expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['rotated']));
      await app.close();
      await world.expectGone('replicas');
    },
  );

  it.concurrent('a static role, whose password the server rotates every 5 s', async () => {
    // New connections all the time, as only logins use the password.
    const { app, work, whoami } = await start(
      { path: 'database/static-creds/rotated' },
      { pool: { max: 6, maxUses: 2 } },
    );
    await staticRole(world, { app, work, whoami });
  });

  it.concurrent('a kept connection is notified in time of another user', async () => {
    const { app, sequelize, whoami } = await start('notified');
    const { connectionManager } = sequelize;
    const acquire = () => connectionManager.getConnection({ type: 'write' }) as Promise<Client>;
    const release = (connection: Client) => connectionManager.releaseConnection(connection);
    await isNotifiedInTime(world, { app, role: 'notified', whoami }, acquire, release);
  });

  it.concurrent.each([
    ['username', { username: 'canary-value' }],
    ['password', { password: 'canary-value' }],
    ['dialectModule', { dialectModule: {} }],
    ['replication.username', { replication: { read: [], write: { username: 'canary-value' } } }],
    ['replication.password', { replication: { write: {}, read: [{ password: 'canary-value' }] } }],
  ])('refuses options that name `%s`', (key, wrong) => {
    const options = { dialect: 'postgres', ...wrong } as unknown as RotatingSequelizeOptions;
    expect(() => rotatingSequelizeOptions(NEVER, options)).toThrow(
      expect.objectContaining({
        code: 'VAULT_CONFIG_INVALID',
        message: expect.stringContaining(`\`${key}\``) as string,
      }),
    );
  });
});
