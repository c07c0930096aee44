import { SimulatedVault } from 'nestjs-vault/testing';
import type { Backend, VaultServer } from '../../scripts/backends/index.mjs';
import { MongoWire } from './mongo-wire.js';

interface World {
  wire: MongoWire;
  vault: SimulatedVault;
  superuser: string;
  password: string;
  stop: () => Promise<void>;
}

/** MongoDB for its sample, in the form of scripts/backends: the part of the protocol that the driver needs. */
export const mongoBackend: Omit<Backend<World>, 'title' | 'variable' | 'look' | 'where'> = {
  available: () => ({ ok: true }),
  async start() {
    const [superuser, password] = ['ci', 'password-of-ci'];
    const wire = await MongoWire.start();
    wire.users.set(superuser, password);
    return { wire, vault: new SimulatedVault(), superuser, password, stop: () => wire.stop() };
  },
  onlySimulated: 'OpenBao has no plugin for MongoDB.',
  simulate: async ({ vault }) =>
    ({ address: await vault.listen(), stop: () => vault.close() }) as VaultServer,
  setUp: async (_, { vault, wire }, { file, lease }) => {
    vault.leasedSecret('database/creds/orders', {
      ttl: lease.defaultTtl,
      maxTtl: lease.maxTtl,
      data() {
        const username = `v-approle-orders-${wire.users.size}`;
        const password = `canary-of-${username}`;
        wire.users.set(username, password);
        return { username, password };
      },
    });
    vault.policy('orders', file('policy.hcl'));
    const role = { policies: ['orders'], tokenNoDefaultPolicy: true, tokenTtl: '20s', tokenMaxTtl: '60s' };
    const { roleId, secretId } = vault.appRole('orders', role as object);
    return { roleId, secretId: secretId() };
  },
  env: ({ wire }) => ({ MONGODB_URL: wire.url }),
  /** This server drops no users; their leases end. */
  users: async ({ vault }) => vault.liveLeases.map(({ id }) => id),
};
