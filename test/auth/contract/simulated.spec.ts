import { describe } from 'vitest';
import { simulatedWorlds } from '../../conformance/simulated-world.js';
import { authContract } from './contract.js';
import { METHODS } from './methods/index.js';

for (const kind of ['openbao', 'vault'] as const) {
  describe(`the contract of auth methods, on a simulated ${kind === 'vault' ? 'Vault' : 'OpenBao'}`, () => {
    for (const method of METHODS.filter(({ servers }) => servers.includes(kind)))
      authContract(method, {
        kind,
        simulated: true,
        open: simulatedWorlds(kind, method.today ? Date.now() + 60_000 : undefined),
      });
  });
}
