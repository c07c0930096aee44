// What startOpenBao gives, on a simulated server over a port: for machines where no server binary can be had. The
// database is a real one, so its users are, too. Needs the library to be built.
import { randomUUID } from 'node:crypto';
import { SimulatedVault } from '../dist/esm/testing/index.js';

/** @param postgres as startPostgres gives it: creation and revocation statements run there; none where it is not given */
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
