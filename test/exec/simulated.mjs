// The simulated server over a port: one for each way.
import { startTcpProxy } from '../support/servers.mjs';

export async function simulated() {
  const { SimulatedVault } = await import('../../dist/esm/testing/index.js');
  const open = new Set();
  return {
    name: 'simulated server',
    async open() {
      const server = new SimulatedVault();
      server.databaseRole('orders', { defaultTtl: '1h', maxTtl: '24h' });
      server.databaseRole('short', { defaultTtl: '3s', maxTtl: '5s' });
      server.kv().put('app', { key: 'canary-key' });
      const role = server.appRole('app');
      const secretId = role.secretId();
      const tokens = server.tokenCount;
      const proxy = await startTcpProxy(Number(new URL(await server.listen()).port));
      open.add(server).add(proxy);
      const env = {
        VAULT_ADDR: `http://${proxy.address}`,
        VAULT_ROLE_ID: role.roleId,
        VAULT_SECRET_ID: secretId,
      };
      const root = (path, method) =>
        fetch(`${env.VAULT_ADDR}/v1/${path}`, { method, headers: { 'x-vault-token': 'root' } });
      return {
        env,
        proxy,
        server,
        secrets: [secretId, 'canary-key'],
        revoke: () => root('sys/leases/revoke-prefix/database', 'POST'),
        left: () => ({ leases: server.liveLeases.length, tokens: server.tokenCount - tokens }),
      };
    },
    atTheEnd: () => undefined,
    close: () => Promise.all([...open].map((one) => one.close())),
  };
}
