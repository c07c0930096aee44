// A simulated server on a port, with the interface of startOpenBao: for machines without a server binary. Database and
// users are real. Needs the build of the library.
import { randomUUID } from 'node:crypto';
import { SimulatedVault } from '../dist/esm/testing/index.js';

/** @param postgres the result of startPostgres, which runs the statements of roles; without it none are run */
export async function startSimulatedServer(postgres) {
  const rootToken = randomUUID();
  const vault = new SimulatedVault({
    rootToken,
    ...(postgres && { sql: (statement) => postgres.query(statement) }),
  });
  const address = await vault.listen();
  return {
    kind: 'simulated',
    address,
    rootToken,
    async api(method, path, body, { token = rootToken, headers = {} } = {}) {
      const response = await fetch(`${address}/v1/${path.replace(/^\/?(v1\/)?/, '')}`, {
        method,
        headers: { 'X-Vault-Token': token, ...headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return {
        request: [method, path],
        status: response.status,
        body: text ? JSON.parse(text) : undefined,
        headers: response.headers,
      };
    },
    leasedSecret: (path, secret) => vault.leasedSecret(path, secret),
    leases: () => vault.liveLeases.map(({ id }) => id),
    stop: () => vault.close(),
  };
}
