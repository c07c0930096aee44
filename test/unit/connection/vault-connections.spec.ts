import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { expect, it } from 'vitest';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { VaultConnections } from '../../../lib/connection/vault-connections.js';
import { malformed } from '../../../lib/errors/common-errors.js';
import { CredentialsService, token, VaultModule } from '../../../lib/index.js';
import { SimulatedVault, VaultTestingModule, VirtualClock } from '../../../lib/testing/index.js';
import { failureOf } from '../../support/leaks.js';

const connectionsOf = (...names: string[]) =>
  new VaultConnections(names.map((name) => ({ name, own: true })));
const silent = { log() {}, error() {}, warn() {} };
const started = (connections: VaultConnections, name: string) => {
  const vault = new SimulatedVault();
  const options = resolveOptions({ address: 'http://vault.test', auth: token('root') }, name);
  const connection = new VaultConnection(options, connections.bus, vault.clock, vault.transport());
  connections.begin(connection);
  return connection;
};

it('the connections by name: those that are up, and those that start', async () => {
  const connections = connectionsOf('a', 'b');
  const a = started(connections, 'a');
  connections.add(a);
  expect([...connections.named()]).toEqual([
    ['a', a],
    ['b', undefined],
  ]);
  expect([...connections.named('b')]).toEqual([['b', undefined]]);
  expect(() => connections.named('c')).toThrow(expect.objectContaining({ code: 'VAULT_CONNECTION_UNKNOWN' }));
  expect(() => connectionsOf().named()).toThrow(/VaultModule\.forRoot/);
  await connections.close();
});

it('a caller that waits for a connection gets it after its start', async () => {
  const connections = connectionsOf('a');
  const waiting = connections.get('a');
  const connection = started(connections, 'a');
  connections.add(connection);
  expect(await waiting).toBe(connection);
  expect(await connections.get('a')).toBe(connection);
  await connections.close();
});

it('if a start fails, its callers get the error, and callers of other connections get VAULT_CLOSED', async () => {
  const connections = connectionsOf('a', 'b', 'c');
  const up = started(connections, 'c');
  connections.add(up);
  const waiting = [connections.get('a'), connections.get('b'), connections.all()].map((one) =>
    failureOf(one),
  );
  const error = malformed('auth/approle/login');
  await connections.fail('a', error);
  const [a, b, all] = await Promise.all(waiting);
  expect(a).toBe(error);
  expect(b).toMatchObject({ code: 'VAULT_CLOSED' });
  expect(all).toBe(error);
  // Later callers, too.
  expect(await failureOf(connections.get('a'))).toBe(error);
  expect(await failureOf(connections.get('b'))).toMatchObject({ code: 'VAULT_CLOSED' });
  // A started connection is closed with the others, and rejects later calls itself.
  expect(await connections.get('c')).toBe(up);
  expect(await failureOf(up.leases.get('database/creds/app'))).toMatchObject({ code: 'VAULT_CLOSED' });
});

it('a connection that begins after another has failed is closed', async () => {
  const connections = connectionsOf('a', 'b');
  await connections.fail('a', malformed('auth/approle/login'));
  const late = started(connections, 'b');
  expect(() => connections.add(late)).toThrow(expect.objectContaining({ code: 'VAULT_CLOSED' }) as Error);
  expect(await failureOf(late.leases.get('database/creds/app'))).toMatchObject({ code: 'VAULT_CLOSED' });
});

it('at shutdown all waiting callers get an error, and without callers there is no unhandled rejection', async () => {
  const connections = connectionsOf('a');
  const waiting = failureOf(connections.get('a'));
  await connections.close();
  expect(await waiting).toMatchObject({ code: 'VAULT_CLOSED' });
  await connectionsOf('never requested').close();
});

it('an application whose start fails leaves no caller waiting for a secret', async () => {
  const clock = new VirtualClock();
  const vault = new SimulatedVault({ clock });
  const waiting: Promise<unknown>[] = [];
  @Injectable()
  class Early {
    // Built before any connection has started.
    constructor(credentials: CredentialsService) {
      for (const connection of [undefined, 'other'])
        waiting.push(failureOf(credentials.get('database/creds/app', { ...(connection && { connection }) })));
    }
  }
  vault.answer(403, { errors: ['permission denied'] }, { match: /lookup-self/ });
  const never = () => new Promise<string>(() => undefined);
  const address = 'http://vault.test';
  const starting = Test.createTestingModule({
    imports: [
      VaultTestingModule.forRoot({ vault }),
      VaultModule.forRoot({ address, auth: token('root') }),
      VaultModule.forRoot({ name: 'other', address, auth: token(never), startup: { timeout: 600_000 } }),
    ],
    providers: [Early],
  })
    .setLogger(silent)
    .compile();
  const error = await failureOf(clock.until(starting));
  expect(error).toMatchObject({ code: 'VAULT_TOKEN_INVALID' });
  expect(waiting).toHaveLength(2);
  expect(await clock.until(Promise.all(waiting))).toMatchObject([
    { code: 'VAULT_TOKEN_INVALID' },
    { code: 'VAULT_CLOSED' },
  ]);
});
