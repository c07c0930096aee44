import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mariaDbAvailable, startMariaDb } from '../support/mariadb.mjs';
import { MongoWire } from '../support/mongo-wire.js';
import { rabbitMqAvailable, startRabbitMq } from '../support/rabbitmq.mjs';
import { redisAvailable, startRedis } from '../support/redis.mjs';
import { openBaoAvailable, startPostgres } from '../support/servers.mjs';
import { Audit } from './audit.js';
import type { Login, Logins } from './logins.js';

const runner = fileURLToPath(new URL('../support/run-typescript.mjs', import.meta.url));
const program = fileURLToPath(new URL('./logins.ts', import.meta.url));
const USERS = [1, 2].map((n) => ({ username: `leased_${n}`, password: `canary-of-leased-${n}-in-a-log` }));

describe("no driver's own log shows a password", () => {
  const audit = new Audit('logs of drivers and of Node');
  const logins: Logins = {};
  const running: { stop(): Promise<void> }[] = [];

  beforeAll(async () => {
    for (const { username, password } of USERS) audit.guard(`the password of ${username}`, password);
    const add = (name: keyof Logins, { host, port }: { host: string; port: number }, database?: string) => {
      logins[name] = { host, port, users: USERS, ...(database && { database }) };
    };
    const each = async (act: (user: Login['users'][0]) => Promise<unknown>) => {
      for (const user of USERS) await act(user);
    };
    const begin = async <T extends { stop(): Promise<void> }>(
      is: { ok: boolean },
      start: () => Promise<T>,
      prepare: (server: T) => Promise<void>,
    ) => {
      if (!is.ok) return;
      const server = await start();
      running.push(server);
      await prepare(server);
    };
    await Promise.all([
      begin(await openBaoAvailable(), startPostgres, async (server) => {
        await each(({ username, password }) =>
          server.query(`create role ${username} login password '${password}'`),
        );
        add('pg', server, server.database);
      }),
      begin(mariaDbAvailable(), startMariaDb, async (server) => {
        await each(({ username, password }) =>
          server.query(
            `create user ${username}@'%' identified by '${password}'; grant all on orders.* to ${username}@'%'`,
          ),
        );
        add('mysql2', server, server.database);
      }),
      begin(redisAvailable(), startRedis, async (server) => {
        await each(({ username, password }) =>
          server.command('ACL', 'SETUSER', username, 'on', '~*', '&*', '+@all', `>${password}`),
        );
        add('redis', server);
      }),
      begin(rabbitMqAvailable(), startRabbitMq, async (server) => {
        await each(async ({ username, password }) => {
          await server.api('PUT', `users/${username}`, { password, tags: '' });
          const everything = { configure: '.*', write: '.*', read: '.*' };
          await server.api('PUT', `permissions/%2F/${username}`, everything);
        });
        add('rabbitmq', server);
      }),
      begin(
        { ok: true },
        () => MongoWire.start(),
        async (server) => {
          for (const { username, password } of USERS) server.users.set(username, password);
          const { hostname, port } = new URL(server.url);
          add('mongodb', { host: hostname, port: Number(port) });
        },
      ),
    ]);
  });
  afterAll(async () => {
    audit.count();
    await Promise.all(running.map((server) => server.stop()));
  });

  it.each([
    { DEBUG: '*', DEBUG_DEPTH: '10', DEBUG_SHOW_HIDDEN: 'true', MONGODB_LOG_ALL: 'debug' },
    { NODE_DEBUG: '*' },
  ])(
    'under %o',
    async (variables) => {
      const child = spawn(process.execPath, [runner, program], {
        env: { PATH: process.env['PATH'] ?? '', ...variables } as NodeJS.ProcessEnv,
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      const chunks: Buffer[] = [];
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      child.stdin.end(JSON.stringify(logins));
      const [code] = (await once(child, 'close')) as [number | null];
      const output = Buffer.concat(chunks).toString('latin1');
      if (process.env['LEAKS_KEEP']) createWriteStream(process.env['LEAKS_KEEP']).end(output);
      expect(code, output.slice(-2_000)).toBe(0);
      const drivers = output.match(/done: [\w-]+/g) ?? [];
      expect(new Set(drivers).size).toBe(Object.keys(logins).length + Number('redis' in logins));
      audit.read(`output of a process under ${Object.keys(variables)[0]}`, output);
      audit.expectClean();
      // Two processes, which load all drivers.
    },
    120_000,
  );
});
