import { realWorlds } from '../../conformance/real-world.js';
import { describeReal, realServer } from '../../support/real-servers.js';
import { authContract } from '../contract/contract.js';
import { METHODS } from '../contract/methods/index.js';

const { kind } = realServer;

describeReal(`the contract of auth methods, on ${realServer.name}`, () => {
  for (const method of METHODS.filter(({ servers, real = true }) => real && servers.includes(kind)))
    authContract(method, { kind, simulated: false, open: realWorlds });
});
