import { createRotatingIoredis } from 'nestjs-vault/ioredis';
import { createRotatingRedisClient } from 'nestjs-vault/redis';
import { afterAll, beforeAll } from 'vitest';
import { describeRedis } from '../../support/real-redis.js';
import { startRedis, type RedisServer } from '../../support/redis.mjs';
import { poolContract, type Adapter, type ContractServer } from './contract.js';

describeRedis('the contract of pools, on Redis', () => {
  let redis: RedisServer;
  let key = 0;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.stop());

  const server = (): ContractServer => ({
    creation: ['ACL SETUSER {{name}} on >{{password}} ~* &* +@all'],
    password: ['ACL SETUSER {{name}} resetpass >{{password}}'],
    revocation: ['ACL DELUSER {{name}}'],
    disconnect: 'CLIENT KILL USER {{name}}',
    run: async (statement) => {
      const [name = '', ...args] = statement.split(' ');
      return redis.command(name, ...args);
    },
    exists: async (user) => ((await redis.command('ACL', 'USERS')) as string[]).includes(user),
    connections: async (user) =>
      String(await redis.command('CLIENT', 'LIST'))
        .split('\n')
        .filter((line) => line.includes(` user=${user} `)).length,
    stop: () => redis.stop(),
  });
  const own = (password: string | undefined) => (password === undefined ? {} : { username: 'me', password });
  /** A command that blocks until an element comes. */
  const blocking = (pop: (name: string) => Promise<unknown>) => {
    const name = `queue-${++key}`;
    const popped = pop(name);
    popped.catch(() => undefined);
    return {
      finish: async () => {
        await redis.command('RPUSH', name, 'element');
        return popped;
      },
    };
  };
  const oneConnection = 'A client has one connection, which the work blocks.';

  const adapters: Adapter[] = [
    {
      name: 'ioredis',
      driver: 'ioredis',
      repeats: true,
      notApplicable: { password: oneConnection },
      async open(credentials$, { drain, onRotation, own: password }) {
        const { host, port } = redis;
        const client = await createRotatingIoredis(credentials$, { host, port, drain, ...own(password) });
        client.on('rotation', onRotation);
        return {
          whoami: () => client.acl('WHOAMI'),
          work: async () => blocking((name) => client.blpop(name, 0)),
          end: async () => {
            client.disconnect();
          },
          counters: () => client.counters,
          printed: [client, client.options],
        };
      },
    },
    {
      name: 'node-redis',
      driver: 'redis',
      notApplicable: {
        password: oneConnection,
        drains:
          'node-redis does not report when a connection has logged in again: a lease is held for the drain window.',
        closes: 'Redis ends the connection with its user; node-redis does not report it.',
      },
      async open(credentials$, { drain, onRotation, own: password }) {
        const client = await createRotatingRedisClient(credentials$, {
          socket: { host: redis.host, port: redis.port },
          drain,
          ...own(password),
        });
        client.on('rotation', onRotation);
        return {
          whoami: async () => String(await client.aclWhoAmI()),
          work: async () => blocking((name) => client.blPop(name, 0)),
          end: async () => client.destroy(),
          printed: [client],
        };
      },
    },
  ];
  for (const adapter of adapters) poolContract(adapter, server);
});
