import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { appRole } from '../../lib/auth/app-role.js';
import { startBaoProxy, type BaoProxy } from '../support/bao-proxy.mjs';
import { closeConnections, connect } from '../support/connect.js';
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

interface Login {
  username: string;
  password: string;
}

describeReal('behind a caching proxy', () => {
  let bao: OpenBaoServer;
  let postgres: PostgresServer;
  /** Between the caching proxy and the server. */
  let behind: HttpProxy;
  let cache: BaoProxy;

  beforeAll(async () => {
    [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
    behind = await HttpProxy.start(bao.address);
    cache = await startBaoProxy({ ...bao, address: behind.address });
  });
  afterEach(closeConnections);
  afterAll(async () => {
    await cache?.stop();
    await behind?.stop();
    await Promise.all([bao?.stop(), postgres?.stop()]);
  });

  it('credentials of 3 s / 6 s under tokens of 4 s / 9 s: a login each 50 ms for 15 s, none fails', async () => {
    const role = await provision(bao, postgres, {
      roles: [{ name: 'app', defaultTtl: '3s', maxTtl: '6s' }],
      approle: { token_ttl: '4s', token_max_ttl: '9s' },
    });
    const { roleId, secretId } = role;
    const { connection, bus } = connect({ address: cache.address, auth: appRole({ roleId, secretId }) });
    await connection.login();
    const path = 'database/creds/app';
    await connection.leases.get(path);
    const logins = { good: 0, failed: 0 };
    const users = new Set<string>();
    const end = Date.now() + 15_000;
    while (Date.now() < end) {
      const current = connection.leases.current<Login>(path)?.data.reveal();
      const ok = current !== undefined && (await logsIn(current));
      logins[ok ? 'good' : 'failed']++;
      if (current) users.add(current.username);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(logins.failed, JSON.stringify(logins)).toBe(0);
    expect(logins.good).toBeGreaterThan(20);
    // Each lease was used for most of its TTL.
    expect(users.size).toBeLessThanOrEqual(6);
    expect(bus.recent.filter(({ type }) => /failed|expired/.test(type))).toEqual([]);
    await connection.close();
    await expect.poll(() => usersInDatabase(postgres), { timeout: 5_000 }).toEqual([]);
  }, 60_000);

  async function logsIn({ username, password }: Login): Promise<boolean> {
    const { host, port, database } = postgres;
    const client = new pg.Client({ host, port, database, user: username, password });
    client.on('error', () => {});
    try {
      await client.connect();
      return true;
    } catch {
      return false;
    } finally {
      await client.end().catch(() => {});
    }
  }
});
