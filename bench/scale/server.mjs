// A simulated server on a port, in a process of its own, so that the client's measurements exclude it. It sends its
// address and login secrets to the parent, which can order it to lose all tokens.
import { SimulatedVault } from 'nestjs-vault/testing';
import { roleOf } from './paths.mjs';

const [leases, ttl] = process.argv.slice(2).map(Number);

const vault = new SimulatedVault();
for (let number = 0; number < leases; number++) {
  vault.databaseRole(roleOf(number), { defaultTtl: ttl, maxTtl: 86_400 });
}
const { roleId, secretId } = vault.appRole('bench', { tokenTtl: 86_400 });
const address = await vault.listen();
process.on('message', (order) => {
  if (order === 'lose-tokens') vault.revokeAllTokens();
  vault.clearHistory();
  process.send(order);
});
process.once('disconnect', () => process.exit());
process.send({ address, roleId, secretId: secretId() });
