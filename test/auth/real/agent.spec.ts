import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { firstAvailable, fromEnv, token, vaultAgent } from '../../../lib/index.js';
import { startBaoProxy, type BaoProxy } from '../../support/bao-proxy.mjs';
import { closeConnections, connect } from '../../support/connect.js';
import { failureOf } from '../../support/leaks.js';
import { describeReal, realServer } from '../../support/real-servers.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  usersInDatabase,
  type OpenBaoServer,
  type PostgresServer,
} from '../../support/servers.mjs';

const PATH = 'database/creds/app';

/** Polls until it is true. */
async function until(isTrue: () => boolean | Promise<boolean>, limit: number): Promise<void> {
  const end = Date.now() + limit;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error(`did not come true within ${limit} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// The proxy is that of OpenBao, also in front of another server.
describeReal(`vaultAgent: a proxy that logs in by itself, in front of ${realServer.name}`, () => {
  let bao: OpenBaoServer;
  let postgres: PostgresServer;
  let proxy: BaoProxy;

  beforeAll(async () => {
    [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
    const role = await provision(bao, postgres, {
      roles: [{ name: 'app', defaultTtl: '1h', maxTtl: '2h' }],
      approle: { token_ttl: '6s', token_max_ttl: '14s' },
    });
    proxy = await startBaoProxy(bao, role);
  });
  afterEach(closeConnections);
  afterAll(async () => {
    await proxy?.stop();
    await Promise.all([bao?.stop(), postgres?.stop()]);
  });

  it.each(['tcp', 'unix'] as const)('over %s: the leases follow the tokens of the agent', async (way) => {
    const address = way === 'tcp' ? proxy.address : proxy.unixAddress;
    const { connection, bus } = connect({ address, auth: vaultAgent(), startup: { timeout: 5_000 } });
    await connection.login();
    const { username } = (await connection.leases.get<{ username: string }>(PATH)).data.reveal();
    expect(await usersInDatabase(postgres)).toContain(username);
    const logins = () => bus.recent.filter(({ type }) => type === 'login').length;
    const current = () => connection.leases.current<{ username: string }>(PATH)?.data.reveal().username;
    // Two tokens of the agent later.
    await until(() => logins() > 2, 40_000);
    await until(() => current() !== undefined && current() !== username, 10_000);
    const last = current() as string;
    await until(async () => (await usersInDatabase(postgres)).includes(last), 5_000);
    await connection.close();
    await until(async () => !(await usersInDatabase(postgres)).includes(last), 45_000);
    // The agent goes on.
    const next = connect({ address, auth: vaultAgent() });
    await until(
      () =>
        next.connection.login().then(
          () => true,
          () => false,
        ),
      5_000,
    );
  });

  it('the server itself attaches no token: the error says so, and firstAvailable goes on', async () => {
    const { connection } = connect({ address: bao.address, auth: vaultAgent() });
    const error = await failureOf(connection.login());
    expect(error.code).toBe('VAULT_LOGIN_PROVIDER_UNAVAILABLE');
    process.env['NESTJS_VAULT_TEST_TOKEN'] = bao.rootToken;
    const auth = firstAvailable(vaultAgent(), token(fromEnv('NESTJS_VAULT_TEST_TOKEN')));
    const other = connect({ address: bao.address, auth });
    await other.connection.login();
    delete process.env['NESTJS_VAULT_TEST_TOKEN'];
    expect(other.bus.recent).toContainEqual(
      expect.objectContaining({
        type: 'notice',
        message: expect.stringMatching(
          /^Logs in with token, method 2 .*1\. agent \(No agent attached a valid token/,
        ),
      }),
    );
  });
});
