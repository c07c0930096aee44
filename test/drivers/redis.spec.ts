import { inspect } from 'node:util';
import { appRole, getCredentialsToken, VaultModule, type DatabaseCredentials } from 'nestjs-vault';
import {
  createRotatingClient,
  rotatingCredentials,
  type LoginCredentials,
  type PoolEvent,
} from 'nestjs-vault/redis';
import { createClient, createClientPool } from 'redis';
import { ReplaySubject, tap, type Observable } from 'rxjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Applications } from '../support/applications.js';
import { figure, issueByHand, Load, pause, until, type Issued } from '../support/driver-load.js';
import { describeRedis } from '../support/real-redis.js';
import {
  connectionsInRedis,
  provisionRedis,
  startRedis,
  usersInRedis,
  type RedisServer,
} from '../support/redis.mjs';
import { startOpenBao, type OpenBaoServer, type Provisioned } from '../support/servers.mjs';

type Client = Awaited<ReturnType<typeof createRotatingClient>>;

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
      createRotatingClient(credentials$, { socket, drain: 2_000 }),
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
      expect(users.size).toBe(rotations(events) + 1);
      await Promise.all([subscriber.close(), worker.close()]);
      await app.close();
      expect(client.isOpen).toBe(false);
      await until(async () => !(await usersInRedis(redis)).some((user) => users.has(user)));
    },
  );

  it.concurrent('a pool with the provider: commands each 20 ms for 10 s, none fails', async () => {
    const events: PoolEvent[] = [];
    const { app, client } = await start('pool', async (credentials$) => {
      const connect = { socket: { host: redis.host, port: redis.port } };
      const credentialsProvider = rotatingCredentials(credentials$, { connect, drain: 2_000 });
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
  });

  it.concurrent('an operator revokes the lease: commands wait for other credentials', async () => {
    const { client, events } = await startClient('revoked');
    const load = new Load(() => client.incr('revoked'));
    await pause(300);
    await bao.api('POST', 'sys/leases/revoke-prefix/database/creds/revoked');
    const recovered = await load.recovery();
    await load.stop();
    figure(`redis: lease revoked: ${recovered} ms, ${load.failures.length} of ${load.count} commands failed`);
    // What was on its way when Redis cut the connection; node-redis does not repeat it.
    expect(load.failures.length).toBeLessThanOrEqual(2);
    expect(recovered).toBeLessThan(3_000);
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

  it('Redis restarts and has forgotten its users: others are issued', async () => {
    const { client, events } = await startClient('lost');
    const load = new Load(() => client.incr('lost'), 50);
    await redis.restart();
    const recovered = await load.recovery();
    await load.stop();
    figure(
      `redis: Redis restarted: ${recovered} ms, ${load.failures.length} of ${load.count} commands failed`,
    );
    expect(recovered).toBeLessThan(5_000);
    expect(events.map(({ type }) => type)).toEqual(['refused', 'rotated']);
  });

  it('nothing of it is printed', async () => {
    await applications.finish();
    expect(passwords.size).toBeGreaterThan(5);
    expect(await connectionsInRedis(redis)).toEqual([]);
    await expect.poll(() => usersInRedis(redis), { timeout: 15_000 }).toEqual([]);
  });
});

describeRedis('node-redis, snapshot by snapshot', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.stop());

  const issue = async ({ create = true } = {}): Promise<Issued> => {
    const issued = issueByHand();
    if (create) await allow(issued);
    return issued;
  };
  const allow = ({ user, password }: Issued) =>
    redis.command('ACL', 'SETUSER', user, 'on', '~*', '&*', '+@all', `>${password}`);
  const socket = () => ({ host: redis.host, port: redis.port });
  const open = async (drain = 500) => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = await issue();
    credentials$.next(first.credentials);
    const client = await createRotatingClient(credentials$, { socket: socket(), drain });
    const events: PoolEvent[] = [];
    client.on('rotation', (event: PoolEvent) => events.push(event));
    return { client, credentials$, first, events };
  };

  it('logs in anew on the connection that it has, and holds the lease before for the drain window', async () => {
    const { client, credentials$, first, events } = await open();
    const id = await client.clientId();
    const next = await issue();
    const before = Date.now();
    credentials$.next(next.credentials);
    await expect.poll(() => client.aclWhoAmI()).toBe(next.user);
    expect(first.holds).toBe(1);
    await expect.poll(() => first.holds).toBe(0);
    expect(Date.now() - before).toBeGreaterThanOrEqual(490);
    expect(await client.clientId()).toBe(id);
    expect(events.map(({ type }) => type)).toEqual(['rotated']);
    await client.close();
    await expect.poll(() => next.holds).toBe(0);
  });

  it('uses new credentials once Redis lets them in, and reports those that it refuses', async () => {
    const { client, credentials$, first, events } = await open();
    const late = await issue({ create: false });
    credentials$.next(late.credentials);
    await pause(50);
    expect(await client.aclWhoAmI()).toBe(first.user);
    await allow(late);
    await expect.poll(() => client.aclWhoAmI()).toBe(late.user);
    const wrong = await issue({ create: false });
    credentials$.next(wrong.credentials);
    await expect
      .poll(() => events.map(({ type }) => type), { timeout: 5_000 })
      .toEqual(['rotated', 'refused']);
    expect(wrong).toMatchObject({ holds: 0, refused: [true] });
    expect(await client.aclWhoAmI()).toBe(late.user);
    client.destroy();
  });

  it('without a way to prove them, a connection stays as it was where Redis refuses, and tries again', async () => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = await issue();
    credentials$.next(first.credentials);
    const client = createClient({ socket: socket(), credentialsProvider: rotatingCredentials(credentials$) });
    await client.connect();
    const late = await issue({ create: false });
    credentials$.next(late.credentials);
    await expect.poll(() => late.refused).toEqual([false]);
    expect(await client.aclWhoAmI()).toBe(first.user);
    await allow(late);
    await expect.poll(() => client.aclWhoAmI(), { timeout: 5_000 }).toBe(late.user);
    client.destroy();
  });

  it('does not start with credentials that Redis refuses, without any, or without Redis', async () => {
    const wrong = await issue({ create: false });
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    credentials$.next(wrong.credentials);
    const error: unknown = await createRotatingClient(credentials$, { socket: socket() }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'VAULT_CREDENTIALS_REJECTED', path: 'database/creds/app' });
    expect(inspect(error, { depth: 9 })).not.toContain(wrong.password);

    const none$ = new ReplaySubject<DatabaseCredentials>(1);
    const none = createRotatingClient(none$, { socket: socket() });
    none$.complete();
    await expect(none).rejects.toMatchObject({ code: 'VAULT_CLOSED' });
    await expect(createRotatingClient(credentials$, { socket: { port: 1 } })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
    await expect.poll(() => wrong.holds).toBe(0);
    expect(credentials$.observed).toBe(false);
  });

  it('a command that blocks for longer than the drain window is cut by Redis, and the connection made again', async () => {
    const { client, credentials$, first } = await open(300);
    const failed = client.blPop('slow', 0).then(
      () => undefined,
      (error: unknown) => error,
    );
    await pause(50);
    const next = await issue();
    credentials$.next(next.credentials);
    await expect.poll(() => first.holds).toBe(0);
    await redis.command('ACL', 'DELUSER', first.user);
    expect(await failed).toBeInstanceOf(Error);
    await expect.poll(() => client.aclWhoAmI()).toBe(next.user);
    client.destroy();
  });

  it('over RESP2 a subscriber is cut by Redis, and subscribes again', async () => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = await issue();
    credentials$.next(first.credentials);
    const client = await createRotatingClient(credentials$, { socket: socket(), RESP: 2, drain: 200 });
    const received: string[] = [];
    await client.subscribe('news', (text) => received.push(text));
    const next = await issue();
    credentials$.next(next.credentials);
    await expect.poll(() => first.holds).toBe(0);
    await redis.command('ACL', 'DELUSER', first.user);
    await expect
      .poll(async () => {
        await redis.command('PUBLISH', 'news', 'again');
        return received.length;
      })
      .toBeGreaterThan(0);
    client.destroy();
  });

  it('a connection that broke and was made again logs in anew, too', async () => {
    const { client, credentials$ } = await open();
    for (let broken = 0; broken < 3; broken++) {
      const again = new Promise((resolve) => client.once('ready', resolve));
      await redis.command('CLIENT', 'KILL', 'ID', String(await client.clientId()));
      await again;
    }
    const next = await issue();
    credentials$.next(next.credentials);
    await expect.poll(() => client.aclWhoAmI()).toBe(next.user);
    credentials$.complete();
    await expect.poll(() => client.isOpen).toBe(false);
  });

  it('a client of one’s own with the provider ends when told', async () => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = await issue();
    credentials$.next(first.credentials);
    const credentialsProvider = rotatingCredentials(credentials$);
    const client = createClient({ socket: socket(), credentialsProvider });
    credentialsProvider.once('end', () => void client.close());
    await client.connect();
    expect(first.need).toMatchObject({ drain: 31_000 });
    credentials$.complete();
    await expect.poll(() => client.isOpen).toBe(false);
    await expect.poll(() => first.holds).toBe(0);
  });
});

describe('options', () => {
  it.each([
    { username: 'me' },
    { password: 'canary-in-the-options' },
    { url: 'redis://me:canary-in-the-options@localhost' },
    { url: 'unix://me:canary-in-the-options@/tmp/socket' },
  ])('of a rotating client name no user', async (options) => {
    const error: unknown = await createRotatingClient(new ReplaySubject(1), options).catch(
      (one: unknown) => one,
    );
    expect(error).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
    expect(inspect(error)).not.toContain('canary');
  });
});
