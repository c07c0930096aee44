import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HttpProxy } from '../support/http-proxy.js';
import { describeReal } from '../support/real-servers.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  usersInDatabase,
  type OpenBaoServer,
  type PostgresServer,
} from '../support/servers.mjs';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

describeReal('a process that is suspended', () => {
  let bao: OpenBaoServer;
  let postgres: PostgresServer;
  let proxy: HttpProxy;
  let child: ChildProcess | undefined;

  beforeAll(async () => {
    [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
    proxy = await HttpProxy.start(bao.address);
  });

  afterAll(async () => {
    child?.kill('SIGKILL');
    await Promise.all([proxy?.stop(), bao?.stop(), postgres?.stop()]);
  });

  // Windows has no SIGSTOP.
  it.skipIf(process.platform === 'win32')(
    'SIGSTOP past the deadline: one look-up, then a new lease; no expired one is returned',
    async () => {
      const { roleId, secretId } = await provision(bao, postgres, {
        roles: [{ name: 'app', defaultTtl: '3s', maxTtl: '10m' }],
        approle: { token_ttl: '10m', token_max_ttl: '10m' },
      });
      child = spawn(process.execPath, [path('../support/run-typescript.mjs'), path('fixtures/holder.ts')], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { PATH: process.env['PATH'], ADDRESS: proxy.address, ROLE_ID: roleId, SECRET_ID: secretId },
      });
      let output = '';
      child.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text));
      const lines = () =>
        output
          .split('\n')
          .filter((line) => line.startsWith('{') && line.endsWith('}'))
          .map((line) => JSON.parse(line) as { at: number; user: string | null; state: string });
      await expect.poll(() => lines().length, { timeout: 15_000 }).toBeGreaterThan(5);
      const before = lines().at(-1)!.user;

      child.kill('SIGSTOP');
      await expect.poll(() => usersInDatabase(postgres), { timeout: 15_000 }).toEqual([]);
      proxy.clear();
      const resumed = Date.now();
      child.kill('SIGCONT');
      const fresh = () => lines().filter(({ at, user }) => at >= resumed && user !== null);
      await expect.poll(() => fresh().length, { timeout: 10_000 }).toBeGreaterThan(0);

      const after = lines().filter(({ at }) => at >= resumed);
      expect(after.filter(({ user }) => user === before)).toEqual([]);
      expect(after.filter(({ user, state }) => user === null && state !== 'expired')).toEqual([]);
      expect(proxy.requests.slice(0, 2)).toEqual(['POST /v1/sys/leases/renew', 'GET /v1/database/creds/app']);
      expect(await usersInDatabase(postgres)).toEqual([fresh()[0]!.user]);

      child.kill('SIGTERM');
      await once(child, 'exit');
      await expect.poll(() => usersInDatabase(postgres), { timeout: 5_000 }).toEqual([]);
    },
    60_000,
  );

  it.skipIf(process.platform === 'win32')(
    'SIGSTOP past the deadline: no idle connection of the removed user is lent, and there is one look-up',
    async () => {
      const { roleId, secretId } = await provision(bao, postgres, {
        roles: [{ name: 'app', defaultTtl: '4s', maxTtl: '10m' }],
        approle: { token_ttl: '10m', token_max_ttl: '10m' },
      });
      const { host, port, database } = postgres;
      child = spawn(process.execPath, [path('../support/run-typescript.mjs'), path('fixtures/querying.ts')], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: {
          PATH: process.env['PATH'],
          ADDRESS: proxy.address,
          ROLE_ID: roleId,
          SECRET_ID: secretId,
          PGHOST: host,
          PGPORT: String(port),
          PGDATABASE: database,
        },
      });
      let output = '';
      child.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text));
      const lines = () =>
        output
          .split('\n')
          .filter((line) => line.startsWith('{') && line.endsWith('}'))
          .map((line) => JSON.parse(line) as { at: number; user?: string; code?: string });
      await expect.poll(() => lines().length, { timeout: 15_000 }).toBeGreaterThan(12);
      const before = lines().at(-1)!.user;

      child.kill('SIGSTOP');
      await expect.poll(() => usersInDatabase(postgres), { timeout: 15_000 }).toEqual([]);
      proxy.clear();
      const resumed = Date.now();
      child.kill('SIGCONT');
      const after = () => lines().filter(({ at }) => at >= resumed);
      await expect.poll(() => after().length, { timeout: 10_000 }).toBeGreaterThan(12);
      expect(after().filter(({ code }) => code !== undefined)).toEqual([]);
      expect(after().filter(({ user }) => user === before)).toEqual([]);
      expect(proxy.requests.slice(0, 2)).toEqual(['POST /v1/sys/leases/renew', 'GET /v1/database/creds/app']);
      expect(proxy.requests.filter((line) => line.startsWith('GET')).length).toBe(1);

      child.kill('SIGTERM');
      await once(child, 'exit');
      await expect.poll(() => usersInDatabase(postgres), { timeout: 5_000 }).toEqual([]);
    },
    60_000,
  );
});
