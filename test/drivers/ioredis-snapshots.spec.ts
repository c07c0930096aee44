import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer, type AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import type { DatabaseCredentials } from 'nestjs-vault';
import { createRotatingIoredis, type PoolEvent, RotatingIoredis } from 'nestjs-vault/ioredis';
import { ReplaySubject } from 'rxjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueByHand, type Issued } from '../support/driver-load.js';
import { describeRedis } from '../support/real-redis.js';
import { startRedis, type RedisServer } from '../support/redis.mjs';

describeRedis('ioredis, snapshot by snapshot', () => {
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
  const open = async (options: { drain?: number } = {}) => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = await issue();
    credentials$.next(first.credentials);
    const client = await createRotatingIoredis(credentials$, {
      host: redis.host,
      port: redis.port,
      ...options,
    });
    const events: PoolEvent[] = [];
    client.on('rotation', (event: PoolEvent) => events.push(event));
    return { client, credentials$, first, events };
  };
  const whoami = (client: RotatingIoredis) => client.acl('WHOAMI');

  it('uses new credentials once they have logged in, on the existing connection', async () => {
    const { client, credentials$, first, events } = await open();
    const id = await client.client('ID');
    const late = await issue({ create: false });
    credentials$.next(late.credentials);
    expect(await whoami(client)).toBe(first.user);
    await allow(late);
    await expect.poll(() => whoami(client)).toBe(late.user);
    expect(await client.client('ID')).toBe(id);
    expect(events.map(({ type }) => type)).toEqual(['rotated']);
    expect({ first: first.holds, late: late.holds }).toEqual({ first: 0, late: 1 });
    await client.quit();
    await expect.poll(() => late.holds).toBe(0);
  });

  it('an unclear answer to the login shows no password in any event or error', async () => {
    const full = createServer((connection) => connection.end('-ERR max number of clients reached\r\n'));
    await new Promise<void>((resolve) => full.listen(0, '127.0.0.1', resolve));
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const { credentials, password } = await issue();
    credentials$.next(credentials);
    const heard: unknown[] = [];
    // The text as it is at that moment.
    const trace = (message: unknown) => heard.push(inspect(message, { depth: 9 }));
    subscribe('tracing:ioredis:command:error', trace);
    const client = new RotatingIoredis(credentials$, {
      port: (full.address() as AddressInfo).port,
      lazyConnect: true,
      maxRetriesPerRequest: 0,
      reconnectOnError: (error) => {
        heard.push(error);
        return false;
      },
    });
    client.on('error', (error) => heard.push(error));
    heard.push(await client.get('x').catch((error: unknown) => error));
    client.disconnect();
    full.close();
    unsubscribe('tracing:ioredis:command:error', trace);
    expect(heard.length).toBeGreaterThan(0);
    expect(inspect(heard, { depth: 9 })).not.toContain(password);
  });

  it('does not start without Redis, or without credentials', async () => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const none = createRotatingIoredis(credentials$, { host: redis.host, port: 1 });
    credentials$.complete();
    await expect(none).rejects.toMatchObject({ code: 'VAULT_CLOSED' });
    const there$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = await issue();
    there$.next(first.credentials);
    await expect(createRotatingIoredis(there$, { host: redis.host, port: 1 })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
    await expect.poll(() => first.holds).toBe(0);
    expect(there$.observed).toBe(false);
  });

  it('duplicates rotate along, and end with the stream', async () => {
    const { client, credentials$, first } = await open();
    const other = client.duplicate({ db: 1 }) as RotatingIoredis;
    expect(await whoami(other)).toBe(first.user);
    const next = await issue();
    credentials$.next(next.credentials);
    await expect.poll(() => whoami(other)).toBe(next.user);
    await expect.poll(() => first.holds).toBe(0);
    credentials$.complete();
    await expect.poll(() => [client.status, other.status]).toEqual(['end', 'end']);
    await expect.poll(() => next.holds).toBe(0);
    await expect(other.connect()).rejects.toMatchObject({ code: 'VAULT_CLOSED' });
  });

  it.each(['disconnect', 'quit'] as const)(
    'connected again after %s(), it starts with the current user, and rotates; ended, it holds nothing',
    async (end) => {
      const { client, credentials$, first, events } = await open();
      const gone = async () => {
        if (end === 'quit') await client.quit();
        else client.disconnect();
        await expect.poll(() => client.status).toBe('end');
        await expect.poll(() => credentials$.observed).toBe(false);
      };
      await gone();
      await expect.poll(() => first.holds).toBe(0);
      await redis.command('ACL', 'DELUSER', first.user);
      const next = await issue();
      credentials$.next(next.credentials);
      await client.connect();
      expect(await whoami(client)).toBe(next.user);
      expect({ holds: next.holds, subscriptions: credentials$.observers.length }).toEqual({
        holds: 1,
        subscriptions: 1,
      });
      const last = await issue();
      credentials$.next(last.credentials);
      await expect.poll(() => whoami(client)).toBe(last.user);
      for (let cycle = 0; cycle < 100; cycle++) {
        await gone();
        await client.connect();
      }
      await gone();
      await expect.poll(() => [first.holds, next.holds, last.holds]).toEqual([0, 0, 0]);
      expect(events.map(({ type }) => type)).toEqual(['rotated']);
    },
  );

  it('a monitor reconnects, and goes on', async () => {
    const { client, credentials$, first } = await open();
    const monitor = (await client.monitor()) as RotatingIoredis;
    const heard: string[] = [];
    monitor.on('monitor', (_at, [name = '']: string[]) => heard.push(name.toLowerCase()));
    await client.get('before');
    await expect.poll(() => heard).toContain('get');
    credentials$.next((await issue()).credentials);
    await expect.poll(() => first.holds).toBe(0);
    await expect.poll(() => monitor.status).toBe('monitoring');
    await client.incr('after');
    await expect.poll(() => heard).toContain('incr');
    monitor.disconnect();
    client.disconnect();
  });

  it('a denied command causes a check, but no request for other credentials', async () => {
    const { client, first } = await open();
    await redis.command('ACL', 'SETUSER', first.user, '-flushall');
    await expect(client.flushall()).rejects.toThrow('NOPERM');
    await expect(client.flushall()).rejects.toThrow('NOPERM');
    await expect.poll(() => first.refused).toEqual([false]);
    client.disconnect();
  });

  it('a client that its user ends releases its hold, even if it never connected', async () => {
    const { client, credentials$, first } = await open();
    client.disconnect();
    await expect.poll(() => first.holds).toBe(0);
    expect(credentials$.observed).toBe(false);
  });
});

describe('options', () => {
  it('of a rotating client must not name a user', async () => {
    const options = { username: 'me', password: 'canary-in-the-options' } as object;
    const error: unknown = await createRotatingIoredis(new ReplaySubject(1), options).catch(
      (one: unknown) => one,
    );
    expect(error).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
    expect(inspect(error)).not.toContain('canary');
  });
});
