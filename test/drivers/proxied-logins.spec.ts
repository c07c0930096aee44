import { createRotatingIoredis } from 'nestjs-vault/ioredis';
import { createRotatingMongoClient } from 'nestjs-vault/mongodb';
import { createRotatingMysqlPool } from 'nestjs-vault/mysql2';
import { createRotatingRedisClient } from 'nestjs-vault/redis';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { pause, type Issued } from '../support/driver-load.js';
import { goneBehindProxy } from '../support/gone-behind-proxy.js';
import { startMariaDb, type MariaDbServer } from '../support/mariadb.mjs';
import { MongoWire } from '../support/mongo-wire.js';
import { describeMariaDb } from '../support/real-mariadb.js';
import { describeRedis } from '../support/real-redis.js';
import { startRedis, type RedisServer } from '../support/redis.mjs';
import { replaceBytes, startRewordingProxy, type RewordingProxy } from '../support/rewording-proxy.js';

describeRedis('Redis behind a proxy that answers a login with ERR', () => {
  let redis: RedisServer;
  let proxy: RewordingProxy;
  beforeAll(async () => {
    redis = await startRedis();
    proxy = await startRewordingProxy(redis.port, (answer) => {
      const words = answer.toString('latin1').replace(/-WRONGPASS [^\r]*/, '-ERR unknown account');
      return Buffer.from(words, 'latin1');
    });
  });
  afterAll(async () => {
    await proxy?.close();
    await redis?.stop();
  });
  const users = {
    allow: ({ user, password }: Issued) =>
      redis.command('ACL', 'SETUSER', user, 'on', '~*', '&*', '+@all', `>${password}`),
    drop: ({ user }: Issued) => redis.command('ACL', 'DELUSER', user),
  };

  it('node-redis', ({ onTestFinished }) =>
    goneBehindProxy(
      {
        ...users,
        open: (credentials$) => createRotatingRedisClient(credentials$, { socket: { port: proxy.port } }),
        close: (client) => client.destroy(),
        whoami: (client) => client.aclWhoAmI(),
      },
      onTestFinished,
    ));

  it('ioredis', ({ onTestFinished }) =>
    goneBehindProxy(
      {
        ...users,
        open: (credentials$) => createRotatingIoredis(credentials$, { port: proxy.port }),
        close: (client) => client.disconnect(),
        whoami: (client) => client.acl('WHOAMI'),
      },
      onTestFinished,
    ));
});

describeMariaDb('MariaDB behind a proxy', () => {
  let mariadb: MariaDbServer;
  let proxy: RewordingProxy;
  beforeAll(async () => {
    mariadb = await startMariaDb();
    // The marker of an error, its number, and the bytes after it.
    const error = (number: number) => Buffer.from([0xff, number & 0xff, number >> 8, 0x23]);
    proxy = await startRewordingProxy(mariadb.port, (answer) =>
      replaceBytes(answer, error(1045), error(9001)),
    );
  });
  afterAll(async () => {
    await proxy?.close();
    await mariadb?.stop();
  });

  it('that answers a login with a number of its own (9001)', ({ onTestFinished }) =>
    goneBehindProxy(
      {
        open: (credentials$) =>
          createRotatingMysqlPool(credentials$, { host: '127.0.0.1', port: proxy.port }),
        close: (pool) => pool.end(),
        allow: ({ user, password }) =>
          mariadb.query(`create user \`${user}\`@'%' identified by '${password}'`),
        drop: ({ user }) => mariadb.query(`drop user \`${user}\`@'%'`),
        whoami: async (pool) => {
          const connection = await pool.getConnection();
          const [rows] = await connection.query(`select substring_index(user(), '@', 1) as name`);
          connection.destroy();
          return (rows as { name: string }[])[0]?.name;
        },
      },
      onTestFinished,
    ));
});

describe('MongoDB behind a proxy', () => {
  let wire: MongoWire;
  let proxy: RewordingProxy;
  beforeAll(async () => {
    wire = await MongoWire.start();
    // The proxy of Atlas answers 8000 (AtlasError) in place of 18 (AuthenticationFailed).
    const code = (number: number) => {
      const field = Buffer.from('\x10code\0....', 'latin1');
      field.writeInt32LE(number, 6);
      return field;
    };
    const { port } = new URL(wire.url);
    proxy = await startRewordingProxy(Number(port), (answer) => replaceBytes(answer, code(18), code(8000)));
  });
  afterAll(async () => {
    await proxy?.close();
    await wire?.stop();
  });

  it('that answers a login with AtlasError', ({ onTestFinished }) =>
    goneBehindProxy(
      {
        open: (credentials$) =>
          createRotatingMongoClient(
            credentials$,
            `mongodb://127.0.0.1:${proxy.port}/app?directConnection=true`,
            {
              // A connection for each operation.
              maxIdleTimeMS: 1,
            },
          ),
        close: (mongo) => mongo.close(),
        allow: async ({ user, password }) => void wire.users.set(user, password),
        drop: async ({ user }) => void wire.users.delete(user),
        whoami: async (mongo) => {
          await pause(5);
          return ((await mongo.db().command({ whoami: 1 })) as { user: string }).user;
        },
      },
      onTestFinished,
    ));
});
