import { realWorlds } from '../../conformance/real-world.js';
import { describeReal, realServers } from '../../support/real-servers.js';
import { authContract } from '../contract/contract.js';
import { METHODS } from '../contract/methods/index.js';

for (const { kind, name, bin } of realServers)
  describeReal(`the contract of auth methods, on ${name}`, () => {
    for (const method of METHODS.filter(({ servers, real = true }) => real && servers.includes(kind))) {
      const tls = method.tls && { tls: method.tls() };
      authContract(method, {
        kind,
        simulated: false,
        mayDiffer: bin === undefined && realServers.length > 1,
        open: () => realWorlds({ ...tls, ...(bin && { bin }) }),
      });
    }
  });
