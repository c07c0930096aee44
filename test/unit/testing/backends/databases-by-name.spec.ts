import { beforeEach, expect, it } from 'vitest';
import { SimulatedVault, VirtualClock, type StatementOrigin } from '../../../../lib/testing/index.js';
import { asker, type Ask } from '../support.js';

let ran: [database: string, statement: string][];
let origins: StatementOrigin[];
let failing: RegExp | undefined;
let failure: Error;
let clock: VirtualClock;
let vault: SimulatedVault;
let ask: Ask;

beforeEach(async () => {
  ran = [];
  origins = [];
  failing = undefined;
  failure = new Error('database says no');
  clock = new VirtualClock();
  vault = new SimulatedVault({
    clock,
    sql: async (statement, database, origin) => {
      origins.push(origin);
      if (failing?.test(statement)) throw failure;
      ran.push([database, statement.replace(/v-[\w-]+/, 'USER')]);
    },
  });
  ask = asker(vault);
  await ask('POST', 'sys/mounts/database', { type: 'database' });
  for (const [name, plugin] of [
    ['shop', 'postgresql-database-plugin'],
    ['books', 'mysql-database-plugin'],
  ]) {
    await ask('POST', `database/config/${name}`, { plugin_name: plugin, allowed_roles: ['*'] });
    await ask('POST', `database/roles/${name}-reader`, {
      db_name: name,
      default_ttl: '1m',
      max_ttl: '10m',
      creation_statements: ['CREATE {{name}}', 'GRANT {{name}}'],
    });
  }
});

const issue = async (role: string) => (await ask('GET', `database/creds/${role}`)).body;

it('each role runs its statements on its own database, with the defaults of its plugin', async () => {
  const shop = await issue('shop-reader');
  const books = await issue('books-reader');
  expect(shop.data.username).toMatch(/^v-token-shop-rea-\w{20}-\d{10}$/);
  expect(books.data.username).toMatch(/^v-token-books-read-\w{12,}/);
  expect(books.data.username).toHaveLength(32);
  for (const { lease_id } of [shop, books]) {
    await ask('POST', 'sys/leases/renew', { lease_id });
    await ask('POST', 'sys/leases/revoke', { lease_id });
  }
  expect(ran.filter(([database]) => database === 'books').map(([, statement]) => statement)).toEqual([
    'CREATE USER',
    'GRANT USER',
    `REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'USER'@'%'`,
    `DROP USER 'USER'@'%'`,
  ]);
  expect(ran.filter(([database]) => database === 'shop').at(-1)?.[1]).toBe(`DROP ROLE IF EXISTS "USER"`);
});

it('says which statement of which role runs, and words an error of PostgreSQL like the server', async () => {
  await ask('POST', 'database/static-roles/fixed', {
    db_name: 'shop',
    username: 'fixed',
    rotation_period: '1h',
  });
  const { lease_id } = await issue('shop-reader');
  await ask('POST', 'sys/leases/renew', { lease_id });
  failing = /DROP/;
  failure = Object.assign(new Error('role "x" cannot be dropped'), { severity: 'ERROR', code: '2BP01' });
  const refused = await ask('POST', 'sys/leases/revoke', { lease_id, sync: true });
  expect(refused.body.errors[0]).toMatch(/ERROR: role "x" cannot be dropped \(SQLSTATE 2BP01\)/);
  const role = 'shop-reader';
  expect(origins).toEqual([
    { role: 'fixed', kind: 'rotation', number: 1 },
    { role, kind: 'creation', number: 1 },
    { role, kind: 'creation', number: 2 },
    { role, kind: 'renewal', number: 1 },
    ...[1, 2, 3, 4].map((number) => ({ role, kind: 'revocation', number })),
  ]);
});

it('a role that is deleted still drops its users on its database, with its own statements', async () => {
  await ask('POST', 'database/roles/books-reader', { revocation_statements: ['BYE {{name}}'] });
  const { lease_id } = await issue('books-reader');
  await ask('DELETE', 'database/roles/books-reader');
  await ask('POST', 'sys/leases/revoke', { lease_id });
  expect(ran.at(-1)).toEqual(['books', 'BYE USER']);
});

it('a creation that fails in the middle leaves no user', async () => {
  failing = /^GRANT/;
  expect((await ask('GET', 'database/creds/books-reader')).status).toBe(500);
  expect(ran.at(-1)?.[1]).toBe(`DROP USER 'USER'@'%'`);
  expect(vault.liveUsers).toEqual([]);
});

it('revokeAllLeases ends every lease, those that were being issued, and those whose revocation failed', async () => {
  await issue('shop-reader');
  failing = /DROP/;
  await issue('books-reader');
  await clock.advance(70_000);
  expect(vault.leaseCount).toBe(0);
  expect(vault.liveUsers).toHaveLength(2);
  failing = undefined;
  const late = ask('GET', 'database/creds/shop-reader');
  await vault.revokeAllLeases();
  expect((await late).status).toBe(200);
  expect([vault.leaseCount, vault.liveUsers]).toEqual([0, []]);
});

it('revokeAllLeases names the leases that could not be revoked', async () => {
  await issue('shop-reader');
  failing = /DROP/;
  await expect(vault.revokeAllLeases()).rejects.toThrow(
    /^1 lease\(s\) could not be revoked: database\/creds\/shop-reader: .*database says no/s,
  );
  expect(vault.liveUsers).toHaveLength(1);
});

it('lists mounts and auth methods', async () => {
  const { body: mounts } = await ask('GET', 'sys/mounts');
  expect(mounts.data).toMatchObject({
    'secret/': { type: 'kv', options: { version: '2' } },
    'database/': { type: 'database' },
    'sys/': { type: 'system' },
  });
  vault.appRole('app');
  const { body: methods } = await ask('GET', 'sys/auth');
  expect(Object.keys(methods.data)).toEqual(['token/', 'approle/']);
});
