// A real OpenBao and PostgreSQL, with an AppRole and database roles of its own for each way.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  provision,
  startOpenBao,
  startPostgres,
  startTcpProxy,
  usersInDatabase,
} from '../support/servers.mjs';

export async function real() {
  const [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
  const proxies = new Set();
  let count = 0;
  await bao.api('POST', 'secret/data/app', { data: { key: 'canary-key' } });
  const accessors = async () => (await bao.api('LIST', 'auth/token/accessors')).body.data.keys.length;
  const own = await accessors();
  return {
    name: 'OpenBao',
    async open() {
      const number = ++count;
      const databaseMount = `database${number}`;
      const { roleId, secretId } = await provision(bao, postgres, {
        databaseMount,
        approleName: `app${number}`,
        roles: [
          { name: 'orders', defaultTtl: '1h', maxTtl: '24h' },
          { name: 'short', defaultTtl: '3s', maxTtl: '5s' },
        ],
      });
      const proxy = await startTcpProxy(bao.port);
      proxies.add(proxy);
      return {
        env: { VAULT_ADDR: `http://${proxy.address}`, VAULT_ROLE_ID: roleId, VAULT_SECRET_ID: secretId },
        mount: databaseMount,
        proxy,
        secrets: [secretId, 'canary-key'],
        revoke: () => bao.api('PUT', `sys/leases/revoke-prefix/${databaseMount}`),
        async left() {
          let leases = 0;
          for (const role of ['orders', 'short']) {
            const { body } = await bao.api('LIST', `sys/leases/lookup/${databaseMount}/creds/${role}`);
            leases += body.data?.keys?.length ?? 0;
          }
          return { leases, tokens: 0 };
        },
      };
    },
    /** Tokens of killed wrappers end with their TTL. */
    async atTheEnd() {
      for (let tries = 0; tries < 100 && (await usersInDatabase(postgres)).length > 0; tries++)
        await sleep(50);
      const users = await usersInDatabase(postgres);
      return users.length > 0
        ? `users left: ${users.length}; tokens: ${(await accessors()) - own}`
        : undefined;
    },
    async close() {
      await Promise.all([...proxies].map((proxy) => proxy.close()));
      await Promise.all([bao.stop(), postgres.stop()]);
    },
  };
}
