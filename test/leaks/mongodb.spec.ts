import { once } from 'node:events';
import type { MongoClientOptions } from 'mongodb';
import { MongoClient } from 'mongodb';
import { ReplaySubject } from 'rxjs';
import type { DatabaseCredentials } from 'nestjs-vault';
import { createRotatingMongoClient, RotatingMongoClient } from 'nestjs-vault/mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueByHand, type Issued } from '../support/driver-load.js';
import { failure } from '../support/issued.js';
import { MongoWire } from '../support/mongo-wire.js';
import { Audit } from './audit.js';

describe('no printer shows a password of MongoDB', () => {
  const audit = new Audit('mongodb');
  const opened: RotatingMongoClient[] = [];
  let wire: MongoWire;

  beforeAll(async () => {
    wire = await MongoWire.start();
  });
  afterAll(async () => {
    audit.count();
    for (const one of opened) await one.close();
    await wire?.stop();
  });

  const issue = ({ create = true } = {}): Issued => {
    const one = issueByHand();
    audit.guard(`the password of ${one.user}`, one.password);
    if (create) wire.users.set(one.user, one.password);
    return one;
  };
  const stream = (options?: { create: boolean }) => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    credentials$.next(issue(options).credentials);
    return credentials$;
  };
  const clean = () => audit.expectClean();

  it('of a client, its parts, and its events', async () => {
    const credentials$ = stream();
    const given: MongoClientOptions[] = [];
    const mongo = await createRotatingMongoClient(credentials$, wire.url, {
      createClient(url, options) {
        given.push(options);
        return new MongoClient(url, options);
      },
    });
    opened.push(mongo);
    const commands: unknown[] = [];
    const pooled: unknown[] = [];
    const { client } = mongo;
    client.on('commandStarted', (event) => commands.push(event));
    for (const event of ['connectionCreated', 'connectionReady', 'connectionCheckedOut'] as const)
      client.on(event, (detail: unknown) => pooled.push(detail));
    const orders = client.db('shop').collection('orders');
    await orders.insertOne({ item: 'tea' });
    const session = client.startSession();
    const { topology, options, s } = client as unknown as Record<string, object>;
    const servers = (topology as { s: { servers: Map<string, { pool: object }> } }).s.servers;
    const [server] = servers.values();
    audit.printAll({
      mongo,
      client,
      'options of a client': options,
      'credentials of a client': (options as { credentials: object }).credentials,
      'state of a client': s,
      'options that createClient was given': given,
      topology,
      server,
      'pool of a server': server?.pool,
      session,
      database: client.db('shop'),
      collection: orders,
      cursor: orders.find(),
      'aggregation cursor': orders.aggregate([]),
      'change stream': orders.watch(),
      'ordered bulk': orders.initializeOrderedBulkOp(),
      'command events': commands,
      'pool events': pooled,
      'counters of a client': mongo.counters,
    });
    await session.endSession();
    const rotated = once(mongo, 'rotation');
    const superseded = once(mongo, 'superseded');
    credentials$.next(issue().credentials);
    audit.printAll({
      "arguments of 'rotation'": await rotated,
      "arguments of 'superseded'": await superseded,
      'client after a rotation': mongo.client,
    });
    clean();
  });

  it('while connections log in', async () => {
    const seen: MongoClient[] = [];
    const createClient = (url: string, options: MongoClientOptions) => {
      const client = new MongoClient(url, options);
      client.on('connectionCreated', () => {
        seen.push(client);
        setImmediate(() => {
          const { topology } = client as unknown as { topology: object };
          audit.printAll({ 'client that logs in': client, 'topology that logs in': topology });
        });
      });
      return client;
    };
    opened.push(await createRotatingMongoClient(stream(), wire.url, { createClient }));
    expect(seen.length).toBeGreaterThan(0);
    clean();
  });

  it('of a rejected login, and of a removed user', async () => {
    const refused$ = stream({ create: false });
    const mongo = new RotatingMongoClient(refused$, wire.url);
    const clients: MongoClient[] = [];
    const createClient = (url: string, options: MongoClientOptions) => {
      const client = new MongoClient(url, options);
      clients.push(client);
      return client;
    };
    const raw = await failure(new RotatingMongoClient(refused$, wire.url, { createClient }).ready());
    const credentials$ = stream();
    const gone = await createRotatingMongoClient(credentials$, wire.url);
    opened.push(gone);
    wire.users.clear();
    audit.printAll({
      'refusal of a client': raw,
      'clients that were refused': clients,
      'mongo that is refused': mongo,
      'error of a command': await failure(gone.db().command({ ping: 1 })),
    });
    clean();
  });
});
