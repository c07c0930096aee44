import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Type } from '@nestjs/common';
import { BehaviorSubject } from 'rxjs';
import { CredentialsService, getCredentialsToken, Secret, type CredentialsTarget } from 'nestjs-vault';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { DemoModule as TypeOrm } from '../../sample/02-typeorm/src/demo.module.js';
import { OrdersService as TypeOrmOrders } from '../../sample/02-typeorm/src/orders/orders.service.js';
import { DemoModule as Prisma } from '../../sample/03-prisma/src/demo.module.js';
import { OrdersService as PrismaOrders } from '../../sample/03-prisma/src/orders/orders.service.js';
import { DemoModule as MariaDb } from '../../sample/04-mariadb/src/demo.module.js';
import { OrdersRepository as MariaDbOrders } from '../../sample/04-mariadb/src/orders/orders.repository.js';
import { DemoModule as Knex } from '../../sample/05-knex/src/demo.module.js';
import { OrdersRepository as KnexOrders } from '../../sample/05-knex/src/orders.repository.js';
import { DemoModule as Sequelize } from '../../sample/06-sequelize/src/demo.module.js';
import { OrdersRepository as SequelizeOrders } from '../../sample/06-sequelize/src/orders.repository.js';
import { DemoModule as Drizzle } from '../../sample/07-drizzle/src/demo.module.js';
import { OrdersRepository as DrizzleOrders } from '../../sample/07-drizzle/src/orders.repository.js';
import { DemoModule as Kysely } from '../../sample/08-kysely/src/demo.module.js';
import { OrdersRepository as KyselyOrders } from '../../sample/08-kysely/src/orders.repository.js';
import { DemoModule as MikroOrm } from '../../sample/09-mikro-orm/src/demo.module.js';
import { OrdersRepository as MikroOrmOrders } from '../../sample/09-mikro-orm/src/orders.repository.js';
import { DemoModule as NodeRedis } from '../../sample/10-redis/src/demo.module.js';
import { DemoModule as IoRedis } from '../../sample/11-ioredis/src/demo.module.js';
import { DemoModule as RabbitMq } from '../../sample/12-rabbitmq/src/demo.module.js';
import { DemoModule as MongoDb } from '../../sample/13-mongodb/src/demo.module.js';
import { DemoModule as Aws } from '../../sample/14-aws/src/demo.module.js';
import { Load } from '../../sample/common/load.mjs';
import { backendOf, NAMES, type Backend, type VaultServer } from '../../scripts/backends/index.mjs';
import { Applications } from '../support/applications.js';
import { mongoBackend } from '../support/mongo-backend.js';
import { openBaoAvailable, startOpenBao } from '../support/servers.mjs';

interface Sample {
  name: string;
  module: Type;
  /** The endpoint of its orders. */
  orders?: Type<{ place(item: string): Promise<unknown>; recent(): Promise<{ item: string }[]> }>;
  /** Its role in Vault; default 'orders'. */
  target?: CredentialsTarget;
  /** A user that Vault does not manage; default: the superuser's login. */
  user?: (server: any) => object;
}

const login = ({ superuser, password }: Record<'superuser' | 'password', string>) => ({
  username: new Secret(superuser),
  password: new Secret(password),
});
const data = (value: object) => ({ data: new Secret(value) });

const SAMPLES: Sample[] = [
  { name: '02-typeorm', module: TypeOrm, orders: TypeOrmOrders },
  { name: '03-prisma', module: Prisma, orders: PrismaOrders },
  { name: '04-mariadb', module: MariaDb, orders: MariaDbOrders },
  { name: '05-knex', module: Knex, orders: KnexOrders },
  { name: '06-sequelize', module: Sequelize, orders: SequelizeOrders },
  { name: '07-drizzle', module: Drizzle, orders: DrizzleOrders },
  { name: '08-kysely', module: Kysely, orders: KyselyOrders },
  { name: '09-mikro-orm', module: MikroOrm, orders: MikroOrmOrders },
  { name: '10-redis', module: NodeRedis, target: 'cache' },
  { name: '11-ioredis', module: IoRedis, target: 'cache' },
  {
    name: '12-rabbitmq',
    module: RabbitMq,
    target: { path: 'rabbitmq/creds/orders' },
    user: ({ superuser, password }) => data({ username: superuser, password }),
  },
  { name: '13-mongodb', module: MongoDb },
  {
    name: '14-aws',
    module: Aws,
    target: { path: 'aws/sts/reports' },
    user({ keys }) {
      keys.set('ASIACI', { token: 'token-of-ci', until: Infinity });
      return data({ access_key: 'ASIACI', secret_key: 'secret-of-ci', security_token: 'token-of-ci' });
    },
  },
];

/** Within a time that includes a rotation on a busy machine. */
const soon = (holds: () => unknown) => vi.waitFor(holds, { timeout: 30_000, interval: 50 });
const FOLDER = new URL('../../sample/', import.meta.url);
const LEASE = {
  path: 'none',
  issuedAt: new Date(),
  validUntil: new Date(8.64e15),
  serial: 1,
  tokenSequence: 0,
  renewable: false,
  hold: () => () => undefined,
};

const bao = await openBaoAvailable();
const backends = new Map<string, Pick<Backend, keyof typeof mongoBackend>>();
const missing = new Map<string, string>();
for (const { name } of SAMPLES) {
  const backend = name === '13-mongodb' ? mongoBackend : await backendOf(name);
  const here = backend.onlySimulated || bao.ok ? backend.available() : bao;
  backends.set(name, backend);
  if (!here.ok) missing.set(name, here.reason);
}
// Not by console: vitest would put lines of its own around it.
for (const [name, reason] of missing) process.stderr.write(`Skipped: ${name}, ${reason}\n`);

it('no sample is missing here or in npm start; the first has a test of its own', () => {
  // npm run test:deployments has the others.
  const demo = (name: string) => existsSync(new URL(`${name}/src/demo.module.ts`, FOLDER));
  const folders = readdirSync(FOLDER).filter((name) => /^\d/.test(name) && demo(name));
  expect(NAMES).toEqual(folders);
  expect(SAMPLES.map(({ name }) => name)).toEqual(folders.slice(1));
});

const output = new Applications();
beforeAll(() => {
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    output.note(String(text));
    return true;
  });
});
afterAll(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await output.finish();
});

/** Calls of `work` wait for one another, `width` at a time. */
function queue(width: number) {
  const waiting: (() => void)[] = [];
  let free = width;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    else free--;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}
/** Samples mostly wait for a rotation. */
const inSlot = queue(3);
/** An application reads its environment, which all have in common, while it starts. */
const inTurn = queue(1);

const world = async (name: string) => {
  const apps = new Applications();
  const backend = backends.get(name) as Backend;
  const server: any = await backend.start();
  const simulated = () => backend.simulate?.(server) as Promise<VaultServer>;
  const vault: VaultServer = await (backend.onlySimulated ? simulated() : startOpenBao());
  const file = (path: string) => readFileSync(new URL(`${name}/${path}`, FOLDER), 'utf8');
  const { roleId, secretId } = await backend.setUp(vault, server, {
    file,
    lease: { defaultTtl: '3s', maxTtl: '6s' },
    approle: { token_no_default_policy: true, token_ttl: '20s', token_max_ttl: '60s' },
  });
  apps.guard(secretId);
  output.guard(secretId);
  const env = { VAULT_ADDR: vault.address, VAULT_ROLE_ID: roleId, VAULT_SECRET_ID: secretId };
  const start = (...all: Parameters<Applications['start']>) =>
    inTurn(async () => {
      // They stay until the end: the AWS SDK reads its own when it is first used.
      for (const [key, value] of Object.entries({ ...env, ...backend.env(server) })) vi.stubEnv(key, value);
      return apps.start(...all);
    });
  const end = async () => {
    try {
      await apps.finish();
    } finally {
      await Promise.all([vault.stop(), server.stop()]);
    }
  };
  return { backend, server, start, end };
};
type World = Awaited<ReturnType<typeof world>>;

/** Its policy and its statements are enough to start, work, rotate and shut down. */
async function lives({ module, orders }: Sample, { backend, server, start }: World) {
  const app = await start({ imports: [module] });
  if (orders) {
    const service = app.get(orders, { strict: false });
    await service.place('milk');
    expect((await service.recent()).map(({ item }) => item)).toContain('milk');
  }
  const load = app.get(Load);
  load.start();
  await soon(() => expect(load.users.length).toBeGreaterThanOrEqual(2));
  const { good } = load;
  await soon(() => expect(load.good).toBeGreaterThan(good + 10));
  const credentials = app.get(CredentialsService);
  await app.close();
  expect(load.failed).toBe(0);
  expect(credentials.recentEvents.filter((event) => 'error' in event)).toEqual([]);
  await soon(async () => expect(await backend.users(server)).toEqual([]));
}

/** Its credentials are overridden by their token, as in a test of its own. */
async function isOverridden(sample: Sample, { backend, server, start }: World) {
  const { module, target = 'orders', user = login } = sample;
  const credentials$ = new BehaviorSubject({ ...user(server), lease: LEASE });
  const app = await start({ imports: [module] }, (builder) =>
    builder.overrideProvider(getCredentialsToken(target)).useValue(credentials$),
  );
  const load = app.get(Load);
  load.start();
  await soon(() => expect(load.users.length).toBe(1));
  await soon(() => expect(load.good).toBeGreaterThan(5));
  expect(await backend.users(server)).toEqual([]);
  credentials$.complete();
  await app.close();
  expect(load.failed).toBe(0);
}

const check = (sample: Sample) => async () => {
  const its = await world(sample.name);
  try {
    await lives(sample, its);
    await isOverridden(sample, its);
  } finally {
    await its.end();
  }
};
for (const sample of SAMPLES) {
  // Prisma compiles its query compiler for seconds, in which no timer fires: not beside leases of seconds.
  const here = sample.name === '03-prisma' ? it : it.concurrent;
  // The reason is printed above.
  const test = missing.has(sample.name) ? it.skip : here;
  const title = `sample ${sample.name}: its policy and statements suffice; its token overrides its credentials`;
  test(title, () => inSlot(check(sample)), 240_000);
}
