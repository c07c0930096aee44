import { readFileSync } from 'node:fs';
import { BehaviorSubject } from 'rxjs';
import { CredentialsService, getCredentialsToken, Secret, type DatabaseCredentials } from 'nestjs-vault';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { AppModule as TypeOrmSample } from '../../sample/02-typeorm/src/app.module.js';
import { OrdersService as TypeOrmOrders } from '../../sample/02-typeorm/src/orders/orders.service.js';
import { AppModule as PrismaSample } from '../../sample/03-prisma/src/app.module.js';
import { OrdersService as PrismaOrders } from '../../sample/03-prisma/src/orders/orders.service.js';
import { Applications } from '../support/applications.js';
import { eventually } from '../support/leased-postgres.js';
import { describeReal } from '../support/real-servers.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  usersInDatabase,
  type OpenBaoServer,
  type PostgresServer,
  type Provisioned,
} from '../support/servers.mjs';

const SAMPLES = [
  { name: '02-typeorm', group: 'orders_owner', module: TypeOrmSample, orders: TypeOrmOrders },
  { name: '03-prisma', group: 'orders_app', module: PrismaSample, orders: PrismaOrders },
];

describeReal.each(SAMPLES)('sample $name', ({ name, group, module, orders }) => {
  const apps = new Applications();
  const file = (path: string) =>
    readFileSync(new URL(`../../sample/${name}/${path}`, import.meta.url), 'utf8');
  let bao: OpenBaoServer;
  let postgres: PostgresServer;
  let role: Provisioned;

  beforeAll(async () => {
    [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
    await postgres.query(file('setup.sql'));
    await postgres.query(`create user ci with login password 'ci-password' in role ${group}`);
    if (group === 'orders_owner') await postgres.query('alter role ci set role = orders_owner');
    role = await provision(bao, postgres, {
      roles: [
        {
          name: 'orders',
          defaultTtl: '5s',
          maxTtl: '10s',
          creationStatements: [file('creation.sql')],
          revocationStatements: [file('revocation.sql')],
        },
      ],
      approleName: 'orders',
      policy: file('policy.hcl'),
      approle: { token_no_default_policy: true, token_ttl: '20s', token_max_ttl: '60s' },
    });
    apps.guard(role.secretId, bao.rootToken);
    vi.stubEnv('VAULT_ADDR', bao.address);
    vi.stubEnv('VAULT_ROLE_ID', role.roleId);
    vi.stubEnv('VAULT_SECRET_ID', role.secretId);
    vi.stubEnv('PGHOST', postgres.host);
    vi.stubEnv('PGPORT', String(postgres.port));
    vi.stubEnv('PGDATABASE', postgres.database);
  });
  afterAll(async () => {
    try {
      await apps.finish();
    } finally {
      vi.unstubAllEnvs();
      await Promise.all([bao?.stop(), postgres?.stop()]);
    }
  });

  it('its policy and its statements are enough to start, rotate and shut down', async () => {
    const app = await apps.start({ imports: [module] });
    const service = app.get<TypeOrmOrders | PrismaOrders>(orders, { strict: false });
    const placed = await service.place('tea', 2);
    expect((await service.recent()).map(({ id }) => id)).toContainEqual(placed.id);
    const changed = service instanceof TypeOrmOrders ? await service.ship() : await service.add('tea');
    expect(changed?.item).toBe('tea');
    const first = await service.user();
    await eventually(async () => expect(await service.user()).not.toBe(first));
    const { rows } = await postgres.query(
      `select tableowner from pg_tables where schemaname = 'public' and tableowner like 'v-%'`,
    );
    expect(rows).toEqual([]);
    const credentials = app.get(CredentialsService);
    await app.close();
    const trouble = credentials.recentEvents.filter((event) => 'error' in event);
    expect(trouble).toEqual([]);
    await eventually(async () => expect(await usersInDatabase(postgres)).toEqual([]));
  });

  it('its credentials are overridden by their token, as in a test of its own', async () => {
    const credentials$ = new BehaviorSubject<DatabaseCredentials>({
      username: new Secret('ci'),
      password: new Secret('ci-password'),
      lease: {
        path: 'none',
        issuedAt: new Date(),
        validUntil: new Date(8.64e15),
        serial: 1,
        generation: 0,
        renewable: false,
        hold: () => () => undefined,
      },
    });
    const app = await apps.start({ imports: [module] }, (builder) =>
      builder.overrideProvider(getCredentialsToken('orders')).useValue(credentials$),
    );
    const service = app.get<TypeOrmOrders | PrismaOrders>(orders, { strict: false });
    await service.place('coffee');
    expect(await service.user()).toBe('ci');
    credentials$.complete();
    await app.close();
    expect(await usersInDatabase(postgres)).toEqual([]);
  });
});
