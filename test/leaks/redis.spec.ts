import { once } from 'node:events';
import type { Redis } from 'ioredis';
import { ReplaySubject } from 'rxjs';
import type { DatabaseCredentials } from 'nestjs-vault';
import { createRotatingIoredis, RotatingIoredis } from 'nestjs-vault/ioredis';
import { createRotatingRedisClient, rotatingRedisCredentials } from 'nestjs-vault/redis';
import { createClient } from 'redis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { issueByHand, type Issued } from '../support/driver-load.js';
import { failure } from '../support/issued.js';
import { describeRedis } from '../support/real-redis.js';
import { startRedis, type RedisServer } from '../support/redis.mjs';
import { Audit } from './audit.js';

describeRedis('no printer shows a password of Redis', () => {
  const audit = new Audit('ioredis and node-redis');
  const opened: (() => unknown)[] = [];
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(async () => {
    audit.count();
    for (const close of opened) close();
    await redis?.stop();
  });

  const issue = async ({ create = true } = {}): Promise<Issued> => {
    const one = issueByHand();
    audit.guard(`the password of ${one.user}`, one.password);
    if (create)
      await redis.command('ACL', 'SETUSER', one.user, 'on', '~*', '&*', '+@all', `>${one.password}`);
    return one;
  };
  const stream = async (options?: { create: boolean }) => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    credentials$.next((await issue(options)).credentials);
    return credentials$;
  };
  const where = () => ({ host: redis.host, port: redis.port });
  const clean = () => audit.expectClean();
  const partsOf = (name: string, client: Redis) => {
    const { options, condition, connector, stream, commandQueue, offlineQueue } = client as unknown as Record<
      string,
      object
    >;
    return {
      [name]: client,
      [`options of ${name}`]: options,
      [`condition of ${name}`]: condition,
      [`connector of ${name}`]: connector,
      [`stream of ${name}`]: stream,
      [`command queue of ${name}`]: commandQueue,
      [`offline queue of ${name}`]: offlineQueue,
    };
  };

  it('of ioredis, its parts, and its results', async () => {
    const credentials$ = await stream();
    const client = await createRotatingIoredis(credentials$, where());
    opened.push(() => client.disconnect());
    const pipeline = client.pipeline().get('one').set('two', '2');
    const duplicate = client.duplicate();
    opened.push(() => duplicate.disconnect());
    await duplicate.subscribe('news');
    const monitor = await client.monitor();
    opened.push(() => monitor.disconnect());
    audit.printAll({
      ...partsOf('client', client),
      pipeline,
      transaction: client.multi().get('one'),
      ...partsOf('subscriber', duplicate),
      ...partsOf('monitor', monitor),
      'stream of keys': client.scanStream(),
      'counters of a client': client.counters,
      'error of a command': await failure(client.call('NO-SUCH') as Promise<unknown>),
      'results of a pipeline': await client.pipeline().get('one').call('NO-SUCH').exec(),
    });
    // ioredis would take values that are shown at once for answers.
    monitor.disconnect();
    const rotated = once(client, 'rotation');
    const next = await issue();
    credentials$.next(next.credentials);
    audit.printAll({ "arguments of 'rotation'": await rotated });
    await expect.poll(() => client.call('ACL', 'WHOAMI')).toBe(next.user);
    audit.printAll(partsOf('client after a rotation', client));
    clean();
  });

  it('of ioredis while it logs in', async () => {
    const client = new RotatingIoredis(await stream(), where());
    opened.push(() => client.disconnect());
    const look = () => audit.printAtLogin(partsOf('client that logs in', client));
    client.once('connecting', () => setImmediate(look)).once('connect', look);
    await client.ready();
    clean();
  });

  it('of rejected logins', async () => {
    const refused$ = await stream({ create: false });
    const client = new RotatingIoredis(refused$, where());
    opened.push(() => client.disconnect());
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push(error));
    audit.printAll({
      'refusal of ioredis': await failure(client.ready()),
      'errors of ioredis': errors,
      ...partsOf('client that is refused', client),
      'refusal of node-redis': await failure(createRotatingRedisClient(refused$, { socket: where() })),
    });
    clean();
  });

  it('of node-redis, its parts, and its results', async () => {
    const credentials$ = await stream();
    const client = await createRotatingRedisClient(credentials$, { socket: where() });
    opened.push(() => client.destroy());
    const duplicate = client.duplicate();
    opened.push(() => duplicate.destroy());
    await duplicate.connect();
    await duplicate.subscribe('news', () => undefined);
    const provider = rotatingRedisCredentials(credentials$);
    const other = createClient({ socket: where(), credentialsProvider: provider });
    opened.push(() => other.destroy());
    await other.connect();
    audit.printAll({
      client,
      'options of a client': client.options,
      provider,
      'client with a provider': other,
      subscriber: duplicate,
      transaction: client.multi().get('one'),
      'error of a command': await failure(client.sendCommand(['NO-SUCH'])),
      'iterator of keys': client.scanIterator(),
    });
    const rotated = once(client, 'rotation');
    const next = await issue();
    credentials$.next(next.credentials);
    audit.printAll({ "arguments of 'rotation'": await rotated });
    await expect.poll(() => client.aclWhoAmI()).toBe(next.user);
    audit.printAll({ 'client after a rotation': client, 'provider after a rotation': provider });
    clean();
  });

  it('of node-redis while it logs in', async () => {
    const credentialsProvider = rotatingRedisCredentials(await stream());
    const client = createClient({ socket: where(), credentialsProvider });
    opened.push(() => client.destroy());
    client.once('connect', () => {
      audit.printAll({ 'client that logs in': client });
      setImmediate(() => audit.printAll({ 'client that logs in, later': client }));
    });
    await client.connect();
    clean();
  });
});
