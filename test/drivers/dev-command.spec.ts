import { setTimeout as sleep } from 'node:timers/promises';
import { appRole } from 'nestjs-vault';
import { withVault } from 'nestjs-vault/core';
import mysql from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Applications } from '../support/applications.js';
import { builtBin } from '../support/built-bin.js';
import { AppModule, devFile, freePort, Orders } from '../support/dev-application.js';
import { DevFolder, type DevCommand } from '../support/dev-command.js';
import { eventually } from '../support/leased-postgres.js';
import { startMariaDb, usersInMariaDb, type MariaDbServer } from '../support/mariadb.mjs';
import { describeMariaDb } from '../support/real-mariadb.js';
import { describeReal } from '../support/real-servers.js';
import {
  startOpenBao,
  startPostgres,
  usersInDatabase,
  type OpenBaoServer,
  type PostgresServer,
} from '../support/servers.mjs';
import { onTerminal } from '../support/terminal.mjs';

// A terminal of its own needs Python 3.9.
(onTerminal ? describeReal : describe.skip)('nestjs-vault dev at a terminal', () => {
  const folder = new DevFolder();
  let postgres: PostgresServer;

  beforeAll(async () => {
    builtBin();
    postgres = await startPostgres();
  });

  afterAll(async () => {
    await folder.remove();
    await postgres?.stop();
  });

  /** The command with one user. */
  const started = async (content: string): Promise<DevCommand> => {
    folder.write('vault.dev.mjs', content.replace("defaultTtl: '2s'", "defaultTtl: '1h'"));
    const command = folder.runOnTerminal('--port', String(await freePort()));
    await command.prints(/PGDATABASE/);
    const { VAULT_ADDR, VAULT_ROLE_ID: role_id, VAULT_SECRET_ID: secret_id } = command.variables;
    const ask = async (path: string, request: RequestInit) =>
      (await fetch(`${VAULT_ADDR}/v1/${path}`, request)).json() as Promise<any>;
    const body = JSON.stringify({ role_id, secret_id });
    const { auth } = await ask('auth/approle/login', { method: 'POST', body });
    await ask('database/creds/orders', { headers: { 'x-vault-token': auth.client_token } });
    expect(await usersInDatabase(postgres)).toHaveLength(1);
    return command;
  };

  it.each([
    ['one Ctrl+C', ['Ctrl+C']],
    ['Ctrl+C that npx passes on as well', ['Ctrl+C', 'Ctrl+C']],
    ['Ctrl+\\', ['Ctrl+\\']],
  ] as const)('%s drops all users', async (_name, keys) => {
    const command = await started(devFile({ url: postgres.connectionString, maxTtl: '1h' }));
    for (const key of keys) command.press(key);
    expect(await command.exit, command.output).toBe(0);
    expect(command.output).toMatch(/Ended; 1 lease\(s\) revoked, with their users\.$/m);
    expect(await usersInDatabase(postgres)).toEqual([]);
  });

  it('a second Ctrl+C ends it at once', async () => {
    const slow = devFile({ url: postgres.connectionString, maxTtl: '1h' }).replace(
      /(?<=revocationStatements: \[)/,
      `'SELECT pg_sleep(60)', `,
    );
    const command = await started(slow);
    command.press('Ctrl+C');
    await sleep(1_200);
    const before = performance.now();
    command.press('Ctrl+C');
    expect(await command.exit, command.output).toBe(1);
    // Alone it waits for 10 s.
    expect(performance.now() - before).toBeLessThan(5_000);
  });
});

describeReal('nestjs-vault dev --server', () => {
  const apps = new Applications();
  const folder = new DevFolder();
  let postgres: PostgresServer;

  const file = (changes: { maxTtl?: string } = {}) => devFile({ url: postgres.connectionString, ...changes });
  const application = async (variables: Record<string, string>) => {
    Orders.env = variables;
    return apps.start({ imports: [AppModule] });
  };

  beforeAll(async () => {
    builtBin();
    postgres = await startPostgres();
  });

  afterEach(() => apps.finish());

  afterAll(async () => {
    await folder.remove();
    await postgres?.stop();
  });

  it('sets a real server up once; the same application runs on it', async () => {
    const bao: OpenBaoServer = await startOpenBao();
    try {
      folder.write('vault.dev.mjs', file());
      const setUp = async () => {
        const command = folder.run(['--server', bao.address], { VAULT_TOKEN: bao.rootToken });
        expect(await command.exit, command.output).toBe(0);
        expect(command.output).not.toContain(bao.rootToken);
        return command;
      };
      const command = await setUp();
      expect(command.output).toMatch(/added: database role orders\n.*added: policy nestjs-vault-dev/s);
      expect((await setUp()).output).toContain('nothing to change');
      const app = await application(command.variables);
      expect(await app.get(Orders).user()).toMatch(/^v-approle-orders-/);
      expect(apps.log).toContain('issued');
      await app.close();
      await eventually(async () => expect(await usersInDatabase(postgres)).toEqual([]));

      folder.write('vault.dev.mjs', file({ maxTtl: '9s' }).replace(/revocationStatements.*/, ''));
      expect((await setUp()).output.match(/(added|changed): .*/g)).toEqual(['changed: database role orders']);
      expect((await setUp()).output).toContain('nothing to change');
      const { body } = await bao.api('GET', 'database/roles/orders');
      expect(body.data).toMatchObject({ max_ttl: 9, revocation_statements: [] });
    } finally {
      await bao.stop();
    }
  });

  it('a file with everything is set up once, too', async () => {
    const bao: OpenBaoServer = await startOpenBao();
    await postgres.query('CREATE ROLE fixed LOGIN');
    try {
      const url = postgres.connectionString;
      folder.write(
        'everything.json',
        JSON.stringify({
          databases: {
            shop: { url, mount: 'db', staticRoles: { fixed: { username: 'fixed', rotationPeriod: '1h' } } },
          },
          kvMounts: {
            legacy: { version: 1, secrets: { 'team/old': { a: 1, b: [true, null] } } },
            modern: { secrets: { new: { nested: { c: 'd' } } } },
          },
          policies: {
            Orders: { 'modern/data/new': ['read'] },
            mail: 'path "legacy/*" { capabilities = ["read"] }',
          },
          appRoles: {
            orders: {
              roleId: 'the-orders',
              policies: ['mail', 'Orders', 'default'],
              tokenTtl: '20m',
              tokenMaxTtl: '1h',
            },
            mail: { policies: ['mail'], tokenType: 'batch', tokenNoDefaultPolicy: true },
          },
          leasedSecrets: { 'rabbitmq/creds/x': { data: {} } },
        }),
      );
      const env = { VAULT_TOKEN: bao.rootToken };
      const setUp = async () => {
        const command = folder.run(['everything.json', '--server', bao.address], env);
        expect(await command.exit, command.output).toBe(0);
        return command;
      };
      const first = await setUp();
      expect(first.output).toContain('left out: leasedSecrets');
      expect((await setUp()).output).toContain('nothing to change');
      const [, secretId] = /VAULT_ROLE_ID=mail\n.*VAULT_SECRET_ID=(\S+)/.exec(first.output) ?? [];
      const auth = appRole({ roleId: 'mail', secretId: secretId ?? '' });
      await withVault({ address: bao.address, auth, logger: false }, async ({ client }) => {
        const { data } = await client.read('legacy/team/old');
        expect(data.reveal()).toEqual({ a: 1, b: [true, null] });
      });
    } finally {
      await bao.stop();
    }
  });

  it('refuses a server that keeps its data, unless it is told to', async () => {
    const bao: OpenBaoServer = await startOpenBao({ storage: 'raft' });
    try {
      folder.write('vault.dev.mjs', file());
      const env = { VAULT_TOKEN: bao.rootToken };
      const refused = folder.run(['--server', bao.address], env);
      expect(await refused.exit).toBe(1);
      expect(refused.output).toMatch(/keeps its data: it is no -dev server, so other people may use it/);
      expect((await bao.api('GET', 'sys/policies/acl/nestjs-vault-dev')).status).toBe(404);
      const told = folder.run(['--server', bao.address, '--shared-server'], env);
      expect(await told.exit, told.output).toBe(0);
    } finally {
      await bao.stop();
    }
  });
});

describeReal('nestjs-vault dev', () => {
  const folder = new DevFolder();
  let postgres: PostgresServer;

  beforeAll(async () => {
    postgres = await startPostgres();
  });

  afterAll(async () => {
    await folder.remove();
    await postgres?.stop();
  });

  it('names a user that it cannot drop, and fails', async () => {
    folder.write('vault.dev.mjs', devFile({ url: postgres.connectionString, maxTtl: '1h' }));
    const command = folder.run(['--port', String(await freePort())]);
    await command.prints(/PGDATABASE/);
    const { VAULT_ADDR: address = '', VAULT_SECRET_ID: secretId = '' } = command.variables;
    const auth = appRole({ roleId: 'orders', secretId });
    const shutdown = { revoke: false };
    await withVault({ address, auth, logger: false, shutdown }, async ({ credentials }) => {
      const { username } = await credentials.getDatabase('orders');
      await postgres.query(`ALTER TABLE orders OWNER TO "${username.reveal()}"`);
    });
    const [user] = await usersInDatabase(postgres);
    expect(await command.stop()).toBe(1);
    expect(command.output).toContain(`these users could not be dropped: ${user}. Drop them yourself.`);
    expect(command.output).toMatch(
      /Revocation statement 1 of the role orders \(database shop\) failed \(2BP01: rights or objects depend on the user\)\. .*DROP OWNED BY "{{name}}"/,
    );
  });
});

describeMariaDb('nestjs-vault dev with MariaDB', () => {
  const folder = new DevFolder();
  let mariadb: MariaDbServer;

  beforeAll(async () => {
    mariadb = await startMariaDb();
  });

  afterAll(async () => {
    await folder.remove();
    await mariadb?.stop();
  });

  it.each([
    ['its own statement', [`DROP USER IF EXISTS '{{name}}'@'%'`]],
    ['the default of the server', []],
  ])('creates users, and drops them at the end by %s', async (_name, revocationStatements) => {
    const { host, port, database, superuser, password } = mariadb;
    folder.write(
      'vault.dev.json',
      JSON.stringify({
        databases: {
          shop: {
            url: `mariadb://${superuser}:${password}@${host}:${port}/${database}`,
            prepare: ['CREATE TABLE IF NOT EXISTS orders (id int)'],
            roles: {
              orders: {
                creationStatements: [
                  `CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'; GRANT SELECT ON ${database}.* TO '{{name}}'@'%'`,
                ],
                revocationStatements,
              },
            },
          },
        },
      }),
    );
    const command = folder.run(['--port', String(await freePort())]);
    await command.prints(/VAULT_SECRET_ID/);
    expect(command.output).toMatch(/creates users in MySQL or MariaDB at/);
    const {
      VAULT_ADDR: address = '',
      VAULT_ROLE_ID: roleId = '',
      VAULT_SECRET_ID: secretId = '',
    } = command.variables;
    const auth = appRole({ roleId, secretId });
    await withVault(
      { address, auth, logger: false, shutdown: { revoke: false } },
      async ({ credentials }) => {
        const issued = await credentials.getDatabase('orders');
        const user = issued.username.reveal();
        const connection = await mysql.createConnection({
          host,
          port,
          database,
          user,
          password: issued.password.reveal(),
        });
        const [rows] = await connection.query('SELECT count(*) AS orders FROM orders');
        expect(rows).toEqual([{ orders: 0 }]);
        await connection.end();
      },
    );
    expect(await usersInMariaDb(mariadb)).toHaveLength(1);
    expect(await command.stop()).toBe(0);
    expect(await usersInMariaDb(mariadb)).toEqual([]);
  });
});
