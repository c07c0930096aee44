import { inspect } from 'node:util';
import { appRole, getCredentialsToken, VaultModule } from 'nestjs-vault';
import {
  createRotatingRedisClient,
  rotatingRedisCredentials,
  type LoginCredentials,
  type PoolEvent,
} from 'nestjs-vault/redis';
import { createClientPool } from 'redis';
import { tap, type Observable } from 'rxjs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Applications } from '../support/applications.js';
import { figure, Load, pause, until } from '../support/driver-load.js';
import { describeRedis } from '../support/real-redis.js';
import {
  connectionsInRedis,
  provisionRedis,
  startRedis,
  usersInRedis,
  type RedisServer,
} from '../support/redis.mjs';
import { startOpenBao, type OpenBaoServer, type Provisioned } from '../support/servers.mjs';

type Client = Awaited<ReturnType<typeof createRotatingRedisClient>>;

describeRedis('node-redis', () => {
  let bao: OpenBaoServer;
  let redis: RedisServer;
  let role: Provisioned;
  const applications = new Applications();
  const passwords = new Set<string>();

  beforeAll(async () => {
    [bao, redis] = await Promise.all([startOpenBao(), startRedis()]);
    role = await provisionRedis(bao, redis, {
      roles: [
        { name: 'cache', defaultTtl: '3s', maxTtl: '6s' },
        { name: 'pool', defaultTtl: '3s', maxTtl: '6s' },
        { name: 'revoked', defaultTtl: '1h', maxTtl: '2h' },
        { name: 'lost', defaultTtl: '1h', maxTtl: '2h' },
      ],
      staticRoles: [{ name: 'fixed', username: 'fixed', rotationPeriod: '5s' }],
      policy: `
path "database/creds/*"        { capabilities = ["read"] }
path "database/static-creds/*" { capabilities = ["read"] }`,
    });
  });
  afterAll(async () => {
    await applications.finish();
    await Promise.all([bao?.stop(), redis?.stop()]);
  });

  async function start<T>(
    target: Parameters<typeof getCredentialsToken>[0],
    create: (credentials$: Observable<LoginCredentials>) => Promise<T>,
  ) {
    const app = await applications.start({
      imports: [VaultModule.forRoot({ address: bao.address, auth: appRole(role) })],
      providers: [
        {
          provide: 'REDIS',
          inject: [getCredentialsToken(target)],
          useFactory: (credentials$: Observable<LoginCredentials>) => create(credentials$.pipe(tap(note))),
        },
      ],
    });
    return { app, client: app.get<T>('REDIS') };
  }
  async function startClient(target: Parameters<typeof getCredentialsToken>[0]) {
    const socket = { host: redis.host, port: redis.port };
    const { app, client } = await start<Client>(target, (credentials$) =>
      createRotatingRedisClient(credentials$, { socket, drain: 2_000 }),
    );
    const events: PoolEvent[] = [];
    client.on('rotation', (event: PoolEvent) => events.push(event));
    client.on('error', (error) => applications.note(inspect(error)));
    return { app, client, events };
  }
  function note(one: LoginCredentials): void {
    const { password } =
      'data' in one ? (one.data.reveal() as { password: string }) : { password: one.password.reveal() };
    passwords.add(password);
    applications.guard(password);
  }
  const rotations = (events: PoolEvent[]) => events.filter(({ type }) => type === 'rotated').length;

  it.concurrent(
    'commands each 20 ms, messages and blocking reads for 12 s: none fails, none is lost',
    async () => {
      const { app, client, events } = await startClient('cache');
      const [subscriber, worker] = [client.duplicate(), client.duplicate()];
      for (const one of [subscriber, worker]) {
        one.on('error', (error) => applications.note(inspect(error)));
        await one.connect();
      }
      const received = new Set<string>();
      await subscriber.subscribe('news', (text) => received.add(text));
      let reconnects = 0;
      for (const one of [client, subscriber, worker]) one.on('reconnecting', () => reconnects++);
      const taken: number[] = [];
      const working = (async () => {
        for (;;) {
          const item = (await worker.blPop('jobs', 1))?.element;
          if (item === 'end') return;
          if (item !== undefined) taken.push(Number(item));
        }
      })();

      const users = new Set<string>();
      const commands = new Load((n) => client.multi().incr('count').rPush('jobs', String(n)).exec());
      const watch = new Load(async () => users.add(await client.aclWhoAmI()), 200);
      const news = new Load((n) => client.publish('news', String(n)));
      await pause(12_000);
      await Promise.all([commands.stop(), news.stop(), watch.stop()]);
      await client.rPush('jobs', 'end');
      await working;
      await until(() => received.size === news.count);
      figure(
        `redis: ${rotations(events)} rotations, ${commands.count + news.count} commands, ` +
          `${commands.failures.length + news.failures.length} failed; BLPOP took ${taken.length} of ${commands.count}; ` +
          `missed ${news.count - received.size} of ${news.count} messages; reconnects ${reconnects}`,
      );
      expect(rotations(events)).toBeGreaterThanOrEqual(2);
      expect(commands.failures).toEqual([]);
      expect(Number(await client.get('count'))).toBe(commands.count);
      expect(taken.toSorted((a, b) => a - b)).toEqual(commands.numbers);
      expect(reconnects).toBe(0);
      expect(users.size).toBeGreaterThan(2);
      await app.close();
      expect([client, subscriber, worker].map(({ isOpen }) => isOpen)).toEqual([false, false, false]);
      await until(async () => !(await usersInRedis(redis)).some((user) => users.has(user)));
    },
    40_000,
  );

  it.concurrent(
    'a pool with the provider: commands each 20 ms for 10 s, none fails',
    async () => {
      const events: PoolEvent[] = [];
      const { app, client } = await start('pool', async (credentials$) => {
        const connect = { socket: { host: redis.host, port: redis.port } };
        const credentialsProvider = rotatingRedisCredentials(credentials$, { connect, drain: 2_000 });
        credentialsProvider.on('rotation', (event) => events.push(event));
        const pool = createClientPool({ ...connect, credentialsProvider }, { minimum: 3 });
        pool.on('error', (error) => applications.note(inspect(error)));
        credentialsProvider.once('end', () => void pool.close());
        await pool.connect();
        return pool;
      });
      const load = new Load(() => client.incr('pooled'));
      await pause(10_000);
      await load.stop();
      expect(load.failures).toEqual([]);
      expect(rotations(events)).toBeGreaterThanOrEqual(2);
      await app.close();
      expect(client.isOpen).toBe(false);
    },
    40_000,
  );

  it.concurrent('an operator revokes the lease: commands wait for new credentials', async () => {
    const { client, events } = await startClient('revoked');
    const load = new Load(() => client.incr('revoked'));
    await pause(300);
    await bao.api('POST', 'sys/leases/revoke-prefix/database/creds/revoked');
    const recovered = await load.recovery();
    await load.stop();
    figure(`redis: lease revoked: ${recovered} ms, ${load.failures.length} of ${load.count} commands failed`);
    // A command that was pending when Redis cut the connection; node-redis does not repeat it.
    expect(load.failures.length).toBeLessThanOrEqual(5);
    expect(recovered).toBeLessThan(10_000);
    expect(rotations(events)).toBe(1);
  });

  it.concurrent('a static role: the password changes, the connection stays', async () => {
    const { client, events } = await startClient({ path: 'database/static-creds/fixed' });
    const load = new Load(() => client.aclWhoAmI());
    await until(() => rotations(events) >= 1);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(await client.aclWhoAmI()).toBe('fixed');
  });

  it('Redis restarts and has lost its users: new ones are issued', async () => {
    const { client, events } = await startClient('lost');
    const load = new Load(() => client.incr('lost'), 50);
    await redis.restart();
    const recovered = await load.recovery();
    await load.stop();
    figure(
      `redis: Redis restarted: ${recovered} ms, ${load.failures.length} of ${load.count} commands failed`,
    );
    expect(recovered).toBeLessThan(10_000);
    expect(events.map(({ type }) => type)).toEqual(['refused', 'rotated']);
  });

  it('no secret is printed', async () => {
    await applications.finish();
    expect(passwords.size).toBeGreaterThan(5);
    expect(await connectionsInRedis(redis)).toEqual([]);
    await expect.poll(() => usersInRedis(redis), { timeout: 15_000 }).toEqual([]);
  });
});
