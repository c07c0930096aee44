import { createServer } from 'node:net';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KvService } from 'nestjs-vault';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { devCommand } from '../../lib/cli/dev.js';
import { runCli } from '../../lib/cli/run-cli.js';
import { Applications } from '../support/applications.js';
import { builtBin } from '../support/built-bin.js';
import { AppModule, devFile, freePort, KEY, Orders } from '../support/dev-application.js';
import { DevFolder } from '../support/dev-command.js';
import { eventually } from '../support/leased-postgres.js';
import { describeReal } from '../support/real-servers.js';
import { startPostgres, usersInDatabase, type PostgresServer } from '../support/servers.mjs';

// Each start of the command loads the package anew, which takes seconds on a busy machine.
describeReal('nestjs-vault dev', { timeout: 60_000 }, () => {
  const apps = new Applications();
  const folder = new DevFolder();
  let postgres: PostgresServer;
  let port: number;

  const file = (changes: { maxTtl?: string; secret?: string; url?: string } = {}) =>
    devFile({ url: postgres.connectionString, ...changes });
  const run = (...args: string[]) => folder.run(['--port', String(port), ...args]);
  const started = async (...args: string[]) => {
    const command = run(...args);
    await command.prints(/PGDATABASE/);
    return command;
  };
  const application = async (variables: Record<string, string>) => {
    Orders.env = variables;
    return apps.start({ imports: [AppModule] });
  };

  beforeAll(async () => {
    builtBin();
    postgres = await startPostgres();
    port = await freePort();
  });

  afterEach(() => apps.finish());

  afterAll(async () => {
    await folder.remove();
    await postgres?.stop();
  });

  it('an application gets users that rotate; SIGTERM leaves none, and a restart knows the login again', async () => {
    folder.write('vault.dev.mjs', file());
    const command = await started();
    const { variables } = command;
    expect(variables).toMatchObject({ VAULT_ADDR: `http://127.0.0.1:${port}`, VAULT_ROLE_ID: 'orders' });
    apps.guard(KEY, variables['VAULT_SECRET_ID'] ?? '');
    const app = await application(variables);
    const orders = app.get(Orders);
    expect(orders.apiKey.reveal()).toBe(KEY);
    const first = await orders.user();
    expect(first).toMatch(/^v-approle-orders-/);
    await eventually(async () => expect(await orders.user()).not.toBe(first), 20_000);
    expect(apps.log.match(/is a simulated server/g)).toHaveLength(1);
    // The application runs on while the server ends: its user is dropped all the same.
    expect(await command.stop('SIGTERM')).toBe(0);
    expect(command.output).toMatch(/^Ended; \d lease\(s\) revoked, with their users\.$/m);
    expect(await usersInDatabase(postgres)).toEqual([]);
    expect(command.output).not.toContain(new URL(postgres.connectionString).password);

    const again = await started();
    expect(again.variables).toEqual(variables);
    expect(await again.stop('SIGINT')).toBe(0);
  });

  it('follows its file: changes are named, tokens and leases stay, a broken file changes nothing', async () => {
    folder.write('vault.dev.mjs', file({ maxTtl: '1h' }));
    const command = await started();
    const app = await application(command.variables);
    const orders = app.get(Orders);
    const user = await orders.user();
    folder.write('vault.dev.mjs', file({ maxTtl: '2h', secret: 'mail' }));
    await command.prints(/vault\.dev\.mjs: added: KV secret secret\/mail; changed: database role orders;/);
    await command.prints('removed: KV secret secret/payments');
    expect(await orders.user()).toBe(user);
    expect((await app.get(KvService).read('mail')).data.reveal()).toEqual({ apiKey: KEY });

    folder.write('vault.dev.mjs', `${file()} broken(`);
    await command.prints(/The change of vault\.dev\.mjs is not used, all stays as it was: .*SyntaxError/);
    folder.write(
      'vault.dev.mjs',
      'export default { databases: { shop: { roles: { orders: { maxTtl: "x" } } } } }',
    );
    await command.prints(/not used.*databases\.shop\.roles\.orders\.maxTtl must be seconds/);
    expect((await app.get(KvService).read('mail')).data.reveal()).toEqual({ apiKey: KEY });
    await app.close();

    const prepare = (...statements: string[]) =>
      file({ maxTtl: '2h', secret: 'mail' }).replace(
        /prepare: .*/,
        `prepare: ${JSON.stringify(statements)},`,
      );
    folder.write('vault.dev.mjs', prepare('CREATE TABLE IF NOT EXISTS first (id int)', 'SELECT 1'));
    await command.prints(/vault\.dev\.mjs: ran: 2 statement\(s\) of databases\.shop\.prepare\./);
    folder.write('vault.dev.mjs', prepare('CREATE TABLE second (id int)', 'CREATE TABLE first (id int)'));
    await command.prints(
      /is used in part: databases\.shop\.prepare\[1\] failed \(42P07: it exists already\)\. The 1 before it ran, and their effect stays\. .*IF NOT EXISTS/,
    );
    folder.write('vault.dev.mjs', file({ url: `${postgres.connectionString}?application_name=x` }));
    await command.prints(/databases\.shop\.url has changed\. .*Restart/);
    expect(await command.stop()).toBe(0);
    expect(await usersInDatabase(postgres)).toEqual([]);
  });

  it('writes the variables into an existing .env, for its owner alone', async () => {
    folder.write('vault.dev.mjs', file());
    writeFileSync(join(folder.path, '.env'), 'PORT=3000\nVAULT_ADDR=http://other\nPGHOST=mine\n', {
      mode: 0o644,
    });
    const command = run('--write-env', '.env', '--secret-id-file', 'secret_id');
    await command.prints(/\.env has the variables/);
    expect(await command.stop()).toBe(0);
    expect(command.output).toContain('These had another value there, which is replaced: VAULT_ADDR, PGHOST.');
    const text = readFileSync(join(folder.path, '.env'), 'utf8');
    expect(text).toMatch(
      /^PORT=3000\nVAULT_ADDR=http:\/\/127\.0\.0\.1:\d+\nPGHOST=.*\nVAULT_ROLE_ID=orders\nVAULT_SECRET_ID_FILE=secret_id\nPGPORT=/,
    );
    const secretId = readFileSync(join(folder.path, 'secret_id'), 'utf8');
    expect(secretId).toMatch(/^[0-9a-f-]{36}$/);
    expect(text + command.output).not.toContain(secretId);
    for (const name of ['.env', 'secret_id', '.nestjs-vault/dev-key'])
      if (process.platform !== 'win32') expect(statSync(join(folder.path, name)).mode & 0o077).toBe(0);
  });

  it('says that its port is in use', async () => {
    const other = createServer().listen(port, '127.0.0.1');
    try {
      folder.write('vault.dev.mjs', file());
      const command = run();
      expect(await command.exit).toBe(1);
      expect(command.output).toMatch(new RegExp(`Port ${port} is in use\\. .*--port`));
    } finally {
      other.close();
    }
  });

  /** In this process; it fails before anything is kept. */
  async function failureOf(content: string): Promise<string> {
    folder.write('vault.dev.mjs', content);
    let output = '';
    const keep = (line: string) => void (output += line);
    const cli = { env: {}, folder: folder.path, print: keep, say: keep };
    expect(await runCli(['dev'], [devCommand], cli)).toBe(1);
    expect(output).not.toContain(new URL(postgres.connectionString).password);
    return output;
  }

  it('says that a database does not answer, refuses the login, or fails at a statement', async () => {
    const { username, password } = new URL(postgres.connectionString);
    const closed = `postgresql://${username}:${password}@127.0.0.1:${await freePort()}/x`;
    expect(await failureOf(file({ url: closed }))).toMatch(
      /databases\.shop: PostgreSQL at 127\.0\.0\.1:\d+\/x cannot be used \(ECONNREFUSED\)/,
    );
    const wrong = postgres.connectionString.replace(password, 'wrong');
    expect(await failureOf(file({ url: wrong }))).toMatch(/cannot be used \(28P01\)/);
    const statement = file().replace('IF NOT EXISTS orders', 'IF NOT orders');
    const failure = await failureOf(statement);
    expect(failure).toMatch(/databases\.shop\.prepare\[0\] failed \(42601: a mistake in the syntax\)/);
    expect(failure).not.toContain('IF NOT EXISTS');
  });
});
