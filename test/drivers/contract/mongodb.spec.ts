import { createRotatingMongoClient } from 'nestjs-vault/mongodb';
import { afterAll, beforeAll, describe, vi } from 'vitest';
import { MongoWire } from '../../support/mongo-wire.js';
import { poolContract, type Adapter, type ContractServer } from './contract.js';

// No real server is available to these tests: the real driver runs on the part of the protocol that it needs.
describe('the contract of pools, on the protocol of MongoDB', () => {
  let wire: MongoWire;
  beforeAll(async () => {
    wire = await MongoWire.start();
  });
  afterAll(() => wire?.stop());

  const server = (): ContractServer => ({
    creation: ['add {{name}} {{password}}'],
    password: ['add {{name}} {{password}}'],
    revocation: ['drop {{name}}'],
    disconnect: 'disconnect {{name}}',
    run: async (statement) => {
      const [verb, user = '', password = ''] = statement.split(' ');
      if (verb === 'add') wire.users.set(user, password);
      else if (verb === 'disconnect') wire.disconnect(user);
      else wire.users.delete(user);
    },
    exists: async (user) => wire.users.has(user),
    connections: async (user) => (wire.connected.has(user) ? 1 : 0),
    stop: () => wire.stop(),
  });

  const adapter: Adapter = {
    name: 'mongodb',
    driver: 'mongodb',
    alone: true,
    async open(credentials$, { drain, onRotation, own }) {
      const url = own === undefined ? wire.url : wire.url.replace('//', `//me:${own}@`);
      const mongo = await createRotatingMongoClient(credentials$, url, { drain });
      mongo.on('rotation', onRotation);
      const run = async () => ((await mongo.db().command({ whoami: 1 })) as { user: string }).user;
      return {
        whoami: run,
        work: async () => {
          let busy = false;
          mongo.client.once('commandStarted', () => (busy = true));
          wire.delay = 700;
          const done = run();
          done.catch(() => undefined);
          await vi.waitFor(() => {
            if (!busy) throw new Error('The command has not started.');
          });
          await new Promise((resolve) => setTimeout(resolve, 20));
          wire.delay = 0;
          return { finish: () => done };
        },
        end: () => mongo.close(),
        counters: () => mongo.counters,
        printed: [mongo, mongo.client],
      };
    },
    notApplicable: {
      drains: 'A client is closed at the end of the drain window, also when it is idle.',
    },
  };
  poolContract(adapter, server);
});
