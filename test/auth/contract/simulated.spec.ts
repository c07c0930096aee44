import { describe } from 'vitest';
import { authContract } from './contract.js';
import { METHODS } from './methods/index.js';
import { worldsFor } from './trial.js';

for (const kind of ['openbao', 'vault'] as const) {
  describe(`the contract of auth methods, on a simulated ${kind === 'vault' ? 'Vault' : 'OpenBao'}`, () => {
    for (const method of METHODS.filter(({ servers }) => servers.includes(kind)))
      authContract(method, { kind, simulated: true, open: worldsFor(method, kind) });
  });
}
