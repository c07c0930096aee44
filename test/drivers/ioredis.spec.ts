import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { appRole, getCredentialsToken, VaultModule } from 'nestjs-vault';
import {
  createRotatingIoredis,
  type LoginCredentials,
  type PoolEvent,
  type RotatingIoredis,
  type RotatingIoredisOptions,
} from 'nestjs-vault/ioredis';
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
import { versionOf } from '../support/version-of.js';

const version = versionOf('ioredis');
/** From version 6 on, ioredis uses RESP3 by default. */
const PROTOCOLS = version.startsWith('5.') ? ([2] as const) : ([3, 2] as const);

describeRedis('ioredis', () => {
  let bao: OpenBaoServer;
  let redis: RedisServer;
  let role: Provisioned;
  const applications = new Applications();
  const passwords = new Set<string>();

  beforeAll(async () => {
    [bao, redis] = await Promise.all([startOpenBao(), startRedis()]);
    role = await provisionRedis(bao, redis, {
      roles: [
        { name: 'cache2', defaultTtl: '3s', maxTtl: '6s' },
        { name: 'cache3', defaultTtl: '3s', maxTtl: '6s' },
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

  async function start(target: Parameters<typeof getCredentialsToken>[0], protocol: 2 | 3 = PROTOCOLS[0]) {
    const where: RotatingIoredisOptions = { host: redis.host, port: redis.port, drain: 2_000 };
    const app = await applications.start({
      imports: [VaultModule.forRoot({ address: bao.address, auth: appRole(role) })],
      providers: [
        {
          provide: 'REDIS',
          inject: [getCredentialsToken(target)],
          useFactory: (credentials$: Observable<LoginCredentials>) =>
            createRotatingIoredis(credentials$.pipe(tap(note)), {
              ...where,
              protocol,
            } as RotatingIoredisOptions),
        },
      ],
    });
    const client = app.get<RotatingIoredis>('REDIS');
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

  it.concurrent.each(PROTOCOLS)(
    'commands each 20 ms, messages and blocking reads for 12 s over RESP%d: none fails, none is lost',
    async (protocol) => {
      const { app, client, events } = await start(`cache${protocol}`, protocol);
      // Removes data of an earlier try.
      const id = randomUUID();
      const [counter, queue, channel] = [`count-${id}`, `jobs-${id}`, `news-${id}`];
      const [subscriber, worker] = [client.duplicate(), client.duplicate()];
      const received = new Set<string>();
      subscriber.on('message', (_channel, text) => received.add(text));
      await subscriber.subscribe(channel);
      let reconnects = 0;
      subscriber.on('connect', () => reconnects++);
      const taken: number[] = [];
      const working = (async () => {
        for (;;) {
          const [, item = ''] = (await worker.blpop(queue, 1)) ?? [];
          if (item === 'end') return;
          if (item !== '') taken.push(Number(item));
        }
      })();

      const users = new Set<string>();
      const commands = new Load((n) => client.multi().incr(counter).rpush(queue, n).exec());
      const watch = new Load(async () => users.add(String(await client.acl('WHOAMI'))), 200);
      const news = new Load((n) => client.publish(channel, String(n)));
      await pause(12_000);
      await Promise.all([commands.stop(), news.stop(), watch.stop()]);
      await client.rpush(queue, 'end');
      await working;
      const missed = news.count - received.size;
      figure(
        `ioredis ${version}, RESP${protocol}: ${rotations(events)} rotations, ${commands.count + news.count} commands, ` +
          `${commands.failures.length + news.failures.length} failed; BLPOP took ${taken.length} of ${commands.count}; ` +
          `subscriber made anew ${reconnects} times and missed ${missed} of ${news.count} messages`,
      );
      expect(rotations(events)).toBeGreaterThanOrEqual(2);
      expect(commands.failures).toEqual([]);
      expect(Number(await client.get(counter))).toBe(commands.count);
      expect(taken.toSorted((a, b) => a - b)).toEqual(commands.numbers);
      // With RESP2, a subscribed connection is made again at each rotation.
      if (protocol === 2) await until(() => reconnects === rotations(events));
      expect(reconnects).toBe(protocol === 2 ? rotations(events) : 0);
      if (protocol === 2) expect(missed).toBeLessThan(rotations(events) * 15);
      else expect(missed).toBe(0);
      expect(users.size).toBeGreaterThan(2);
      await app.close();
      expect(client.status).toBe('end');
      await until(async () => !(await usersInRedis(redis)).some((user) => users.has(user)));
    },
    40_000,
  );

  it.concurrent(
    'an operator revokes the lease: commands wait for new credentials, and none fails',
    async () => {
      const { client, events } = await start('revoked');
      const load = new Load(() => client.incr('revoked'));
      await pause(300);
      await bao.api('POST', 'sys/leases/revoke-prefix/database/creds/revoked');
      const recovered = await load.recovery();
      await load.stop();
      figure(
        `ioredis: lease revoked: ${recovered} ms, ${load.failures.length} of ${load.count} commands failed`,
      );
      expect(load.failures).toEqual([]);
      expect(recovered).toBeLessThan(10_000);
      expect(events.map(({ type }) => type)).toEqual(['refused', 'rotated']);
    },
  );

  it.concurrent('a static role: the password changes, the connection stays', async () => {
    const { client, events } = await start({ path: 'database/static-creds/fixed' });
    const load = new Load(() => client.acl('WHOAMI'));
    await until(() => rotations(events) >= 1);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(await client.acl('WHOAMI')).toBe('fixed');
  });

  it('Redis restarts and has lost its users: new ones are issued', async () => {
    const { client } = await start('lost');
    const load = new Load(() => client.incr('lost'), 50);
    await redis.restart();
    const recovered = await load.recovery();
    await load.stop();
    figure(
      `ioredis: Redis restarted: ${recovered} ms, ${load.failures.length} of ${load.count} commands failed`,
    );
    expect(recovered).toBeLessThan(10_000);
  });

  it('no secret is printed', async () => {
    await applications.finish();
    expect(passwords.size).toBeGreaterThan(5);
    expect(await connectionsInRedis(redis)).toEqual([]);
    await expect.poll(() => usersInRedis(redis), { timeout: 15_000 }).toEqual([]);
  });
});
