import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { inspect } from 'node:util';
import type { DatabaseCredentials } from 'nestjs-vault';
import { createRotatingRedisClient, rotatingRedisCredentials, type PoolEvent } from 'nestjs-vault/redis';
import { createClient } from 'redis';
import { ReplaySubject } from 'rxjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueByHand, pause, type Issued } from '../support/driver-load.js';
import { describeRedis } from '../support/real-redis.js';
import { startRedis, type RedisServer } from '../support/redis.mjs';

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
    const client = await createRotatingRedisClient(credentials$, { socket: socket(), drain });
    const events: PoolEvent[] = [];
    client.on('rotation', (event: PoolEvent) => events.push(event));
    return { client, credentials$, first, events };
  };

  it('logs in again on the existing connection, and holds the previous lease for the drain window', async () => {
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

  it.each(['close', 'destroy'] as const)(
    'connected again after %s(), it starts with the current user, and rotates; closed, it holds nothing',
    async (end) => {
      const { client, credentials$, first, events } = await open();
      await client[end]();
      await expect.poll(() => first.holds).toBe(0);
      expect(credentials$.observed).toBe(false);
      await redis.command('ACL', 'DELUSER', first.user);
      const next = await issue();
      credentials$.next(next.credentials);
      await client.connect();
      expect(await client.aclWhoAmI()).toBe(next.user);
      expect({ holds: next.holds, subscriptions: credentials$.observers.length }).toEqual({
        holds: 1,
        subscriptions: 1,
      });
      const last = await issue();
      credentials$.next(last.credentials);
      await expect.poll(() => client.aclWhoAmI()).toBe(last.user);
      for (let cycle = 0; cycle < 100; cycle++) {
        await client[end]();
        await client.connect();
      }
      await client[end]();
      await expect.poll(() => [first.holds, next.holds, last.holds]).toEqual([0, 0, 0]);
      expect(credentials$.observed).toBe(false);
      expect(events.map(({ type }) => type)).toEqual(['rotated']);
    },
  );

  it('without a verification, a connection that Redis rejects stays as it was, and tries again', async () => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = await issue();
    credentials$.next(first.credentials);
    const client = createClient({
      socket: socket(),
      credentialsProvider: rotatingRedisCredentials(credentials$),
    });
    await client.connect();
    const late = await issue({ create: false });
    credentials$.next(late.credentials);
    await expect.poll(() => late.refused).toEqual([false]);
    expect(await client.aclWhoAmI()).toBe(first.user);
    await allow(late);
    await expect.poll(() => client.aclWhoAmI(), { timeout: 5_000 }).toBe(late.user);
    client.destroy();
  });

  it('does not start with credentials that Redis rejects, without any, or without Redis', async () => {
    const wrong = await issue({ create: false });
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    credentials$.next(wrong.credentials);
    const error: unknown = await createRotatingRedisClient(credentials$, { socket: socket() }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'VAULT_CREDENTIALS_REJECTED', path: 'database/creds/app' });
    expect(inspect(error, { depth: 9 })).not.toContain(wrong.password);
    await expect.poll(() => wrong.holds).toBe(0);
    // It closes by itself then.
    const once = createRotatingRedisClient(credentials$, {
      socket: { ...socket(), reconnectStrategy: false },
    });
    await expect(once).rejects.toMatchObject({ code: 'VAULT_CREDENTIALS_REJECTED' });
    await expect.poll(() => wrong.holds).toBe(0);

    const none$ = new ReplaySubject<DatabaseCredentials>(1);
    const none = createRotatingRedisClient(none$, { socket: socket() });
    none$.complete();
    await expect(none).rejects.toMatchObject({ code: 'VAULT_CLOSED' });
    await expect(createRotatingRedisClient(credentials$, { socket: { port: 1 } })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
    await expect.poll(() => wrong.holds).toBe(0);
    expect(credentials$.observed).toBe(false);
  });

  it('stops waiting for a server that accepts connections and never answers', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => void sockets.add(socket.on('error', () => undefined))).listen(0);
    await once(silent, 'listening');
    try {
      const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
      const first = await issue({ create: false });
      credentials$.next(first.credentials);
      const { port } = silent.address() as AddressInfo;
      await expect(createRotatingRedisClient(credentials$, { socket: { port } })).rejects.toMatchObject({
        code: 'ETIMEDOUT',
      });
      await expect.poll(() => first.holds).toBe(0);
      expect(credentials$.observed).toBe(false);
    } finally {
      for (const socket of sockets) socket.destroy();
      silent.close();
    }
  }, 15_000);

  it('Redis cuts a command that blocks for longer than the drain window, and the client reconnects', async () => {
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

  it('with RESP2, Redis cuts a subscriber, which subscribes again', async () => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = await issue();
    credentials$.next(first.credentials);
    const client = await createRotatingRedisClient(credentials$, { socket: socket(), RESP: 2, drain: 200 });
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

  it('a connection that broke logs in again after its reconnect', async () => {
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

  it('a client that an application makes with the provider ends on demand', async () => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = await issue();
    credentials$.next(first.credentials);
    const credentialsProvider = rotatingRedisCredentials(credentials$);
    const client = createClient({ socket: socket(), credentialsProvider });
    credentialsProvider.once('end', () => void client.close());
    await client.connect();
    expect(first.need).toMatchObject({ drain: 30_000 });
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
  ])('of a rotating client must not name a user', async (options) => {
    const error: unknown = await createRotatingRedisClient(new ReplaySubject(1), options).catch(
      (one: unknown) => one,
    );
    expect(error).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
    expect(inspect(error)).not.toContain('canary');
  });
});
