import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';
import { MongoClient, type MongoClientOptions } from 'mongodb';
import type { DatabaseCredentials } from 'nestjs-vault';
import {
  createRotatingMongoClient,
  type LoginCredentials,
  type PoolEvent,
  type RotatingMongoClientOptions,
} from 'nestjs-vault/mongodb';
import { BehaviorSubject, ReplaySubject } from 'rxjs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { issueByHand, type Issued } from '../support/driver-load.js';
import { MongoWire } from '../support/mongo-wire.js';

describe('MongoDB, with the real driver on a minimal server', () => {
  let wire: MongoWire;
  const close: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    wire = await MongoWire.start();
  });
  afterEach(async () => {
    for (const one of close.splice(0)) await one();
  });
  afterAll(() => wire?.stop());

  const issue = ({ create = true } = {}): Issued => {
    const issued = issueByHand('database/creds/app');
    if (create) wire.users.set(issued.user, issued.password);
    return issued;
  };
  const open = async (options: RotatingMongoClientOptions = {}) => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = issue();
    credentials$.next(first.credentials);
    const mongo = await createRotatingMongoClient(credentials$, wire.url, options);
    close.push(() => mongo.close());
    return { mongo, credentials$, first };
  };
  const run = async (mongo: { db(): { command(c: object): Promise<object> } }) =>
    ((await mongo.db().command({ whoami: 1 })) as { user: string }).user;

  it.each(['all is closed', 'newer credentials are in use'])(
    'a client that logs in when %s is closed, too',
    async (when) => {
      let begin = () => {};
      const closed = new Promise<void>((resolve) => (begin = resolve));
      const late: Promise<MongoClient>[] = [];
      let made = 0;
      const createClient = (url: string, options: MongoClientOptions) => {
        const client = new MongoClient(url, options);
        const connect = client.connect.bind(client);
        // The second connection verifies the next credentials.
        if (++made === 2)
          client.connect = () => {
            late.push(closed.then(connect));
            return late[0] as Promise<MongoClient>;
          };
        return client;
      };
      const { mongo, credentials$ } = await open({ createClient, drain: 100 });
      const next = issue();
      credentials$.next(next.credentials);
      await expect.poll(() => late.length).toBe(1);
      const newer = issue();
      if (when === 'all is closed') await mongo.close();
      else {
        credentials$.next(newer.credentials);
        await expect.poll(() => run(mongo)).toBe(newer.user);
      }
      begin();
      await late[0];
      const left = when === 'all is closed' ? [] : [newer.user];
      await expect.poll(() => [...wire.connected], { timeout: 2_000 }).toEqual(left);
    },
  );

  it('a client that was closed with its user rejects another connect()', async () => {
    const { mongo, credentials$, first } = await open({ drain: 100 });
    const before = mongo.client;
    credentials$.next(issue().credentials);
    await expect.poll(() => first.holds).toBe(0);
    await expect(before.connect()).rejects.toMatchObject({ code: 'VAULT_CREDENTIALS_EXPIRED' });
    const last = mongo.client;
    await mongo.close();
    await expect(last.connect()).rejects.toMatchObject({ code: 'VAULT_CLOSED' });
    await expect(mongo.ready()).rejects.toMatchObject({ code: 'VAULT_CLOSED' });
    await expect.poll(() => [...wire.connected], { timeout: 2_000 }).toEqual([]);
    expect(credentials$.observed).toBe(false);
  });

  it('a denied command is no reason for other credentials', async () => {
    const { mongo, first } = await open();
    await run(mongo);
    const { password } = first;
    wire.users.delete(first.user);
    const denied = run(mongo);
    await expect(denied).rejects.toMatchObject({ code: 13 });
    wire.users.set(first.user, password);
    await expect.poll(() => first.refused.length).toBe(1);
    expect(first.refused).toEqual([false]);
  });

  it('does not start without credentials, or without a server', async () => {
    const none$ = new ReplaySubject<DatabaseCredentials>(1);
    const none = createRotatingMongoClient(none$, wire.url);
    none$.complete();
    await expect(none).rejects.toMatchObject({ code: 'VAULT_CLOSED' });
    const there = issue();
    const credentials$ = new BehaviorSubject<LoginCredentials>(there.credentials);
    const away = createRotatingMongoClient(credentials$, 'mongodb://127.0.0.1:1', {
      serverSelectionTimeoutMS: 200,
    });
    const failed: unknown = await away.catch((one: unknown) => one);
    expect(failed).toMatchObject({ name: 'MongoServerSelectionError' });
    expect(inspect(failed, { depth: 9 })).not.toContain(there.password);
    await expect.poll(() => there.holds).toBe(0);
  });
});

describe('MongoDB, with clients made by the test', () => {
  class FakeClient extends EventEmitter {
    connected = false;
    closed = false;
    constructor(readonly options: MongoClientOptions) {
      super();
    }
    async connect() {
      this.connected = true;
    }
    async close() {
      this.closed = true;
    }
  }
  const open = async (drain: number) => {
    const made: FakeClient[] = [];
    const createClient = (_url: string, options: MongoClientOptions) => {
      made.push(new FakeClient(options));
      return made.at(-1) as unknown as MongoClient;
    };
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    const first = issueByHand();
    credentials$.next(first.credentials);
    const mongo = await createRotatingMongoClient(credentials$, 'mongodb://db', { drain, createClient });
    const superseded: [MongoClient, Date][] = [];
    mongo.on('superseded', (...one) => superseded.push(one));
    return { mongo, made, credentials$, first, superseded };
  };

  it('a new client is connected before it is used; the previous one is closed after the drain window', async () => {
    const { mongo, made, credentials$, first, superseded } = await open(200);
    const [one] = made;
    expect(one).toMatchObject({ connected: true, options: { auth: { username: first.user } } });
    expect(mongo.client).toBe(one);
    const next = issueByHand();
    const before = Date.now();
    credentials$.next(next.credentials);
    await expect.poll(() => mongo.client).toBe(made[1]);
    expect(made[1]?.connected).toBe(true);
    expect({ closed: one?.closed, holds: first.holds, superseded: mongo.supersededCount }).toEqual({
      closed: false,
      holds: 1,
      superseded: 1,
    });
    expect(superseded).toHaveLength(1);
    expect(superseded[0]?.[0]).toBe(one);
    expect(+(superseded[0]?.[1] as Date) - before).toBeGreaterThanOrEqual(200);
    await expect.poll(() => first.holds).toBe(0);
    expect(Date.now() - before).toBeGreaterThanOrEqual(195);
    expect(one?.closed).toBe(true);
    await mongo.close();
    expect(made.map(({ closed }) => closed)).toEqual([true, true]);
    await expect.poll(() => next.holds).toBe(0);
    expect(credentials$.observed).toBe(false);
  });

  it.each([
    ['idle', ['rotated']],
    ['in use', ['rotated', 'drain-timeout']],
  ])('a lease that ends before the drain window closes its client at once: %s', async (state, expected) => {
    const { mongo, made, credentials$, first } = await open(10_000);
    const events: PoolEvent[] = [];
    mongo.on('rotation', (event) => events.push(event));
    if (state === 'in use') made[0]?.emit('connectionCheckedOut');
    credentials$.next(issueByHand().credentials);
    await expect.poll(() => mongo.client).toBe(made[1]);
    first.need?.onEnding?.();
    await expect.poll(() => first.holds).toBe(0);
    expect(made[0]?.closed).toBe(true);
    expect(events.map(({ type }) => type)).toEqual(expected);
    await mongo.close();
  });

  it.each([
    ['mongodb://me:canary-in-the-url@db', {}],
    ['mongodb+srv://me:canary-in-the-url@db', {}],
    ['mongodb://db', { auth: { username: 'me', password: 'canary-in-the-options' } }],
  ])('neither the URL nor the options may name a user', async (url, options) => {
    const error: unknown = await createRotatingMongoClient(
      new ReplaySubject(1),
      url,
      options as object,
    ).catch((one: unknown) => one);
    expect(error).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
    expect(inspect(error)).not.toContain('canary');
  });
});
