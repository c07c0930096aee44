// The complete programs and tests of the pages, unchanged, on a server that was set up as its page says.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { pathOf, snippets, writeSnippets } from '../snippets/snippets.mjs';
import { builtBin } from '../support/built-bin.js';
import { eventually } from '../support/leased-postgres.js';
import { describeReal } from '../support/real-servers.js';
import {
  startOpenBao,
  startPostgres,
  usersInDatabase,
  type OpenBaoServer,
  type PostgresServer,
} from '../support/servers.mjs';
import { followSetUp } from '../support/set-up-page.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const files = snippets().filter(({ file }) => file);
const specs = files.filter(({ file }) => file && /[.-]spec\.ts$/.test(file));

/** Below the package, so that its name is known there; without a package.json of its own. */
const programs = join(root, '.cache', 'programs');

/** Writes the files of a page as JavaScript; returns their folder. */
function write(page: string): string {
  const folder = join(programs, page);
  rmSync(folder, { recursive: true, force: true });
  for (const { file = '', text } of files.filter((one) => one.page === page)) {
    const path = join(folder, file.replace(/\.ts$/, '.js'));
    const compilerOptions = {
      module: ModuleKind.ESNext,
      target: ScriptTarget.ES2022,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
    };
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, transpileModule(text, { compilerOptions }).outputText);
  }
  return folder;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

describeReal('the programs of the pages', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-programs-'));
  const children = new Set<ChildProcess>();
  let bao: OpenBaoServer;
  let postgres: PostgresServer;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    [bao, postgres] = await Promise.all([startOpenBao({ storage: 'raft' }), startPostgres()]);
    const { variables } = await followSetUp(bao, postgres, folder);
    await postgres.query(`CREATE ROLE ci LOGIN PASSWORD 'ci-password' IN ROLE orders_app`);
    const { connectionString, host, port, database } = postgres;
    const where = { PGHOST: host, PGPORT: String(port), PGDATABASE: database };
    env = { ...variables, ...where, ADMIN_URL: connectionString };
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    for (const child of children) child.kill('SIGKILL');
    await Promise.all([bao?.stop(), postgres?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  beforeEach(() => postgres.query('truncate orders restart identity'));
  // A program that a failed test has left would fail the tests after it, too.
  afterEach(async () => {
    const running = [...children].filter(
      ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
    );
    await Promise.all(running.map((child) => (child.kill('SIGTERM'), once(child, 'close'))));
    children.clear();
  });

  function run(page: string, file: string | readonly string[], extra: NodeJS.ProcessEnv = {}) {
    const cwd = write(page);
    copyFileSync(env['VAULT_SECRET_ID_FILE'] as string, join(cwd, 'secret_id'));
    const child = spawn(process.execPath, [file].flat(), { cwd, env: { ...process.env, ...env, ...extra } });
    children.add(child);
    const program = { output: '', ended: once(child, 'close'), stop: () => child.kill('SIGTERM') };
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => (program.output += String(chunk)));
    return program;
  }
  const users = () => usersInDatabase(postgres);
  const left = () => eventually(async () => expect(await users()).toEqual([]));

  async function servesOrders(extra: NodeJS.ProcessEnv) {
    const port = await freePort();
    const program = run('docs/getting-started.md', 'src/main.js', { ...extra, PORT: String(port) });
    await eventually(() => expect(program.output).toContain('successfully started'));
    // Nest logs that before it listens.
    const post = () => fetch(`http://127.0.0.1:${port}/orders`, { method: 'POST' });
    const answer = await vi.waitFor(post, { timeout: 15_000, interval: 50 });
    expect(await answer.json()).toMatchObject({
      user: expect.stringMatching(/^v-approle-orders-/),
      orders: 1,
    });
    program.stop();
    await program.ended;
    await left();
  }

  it('the ten-minute start serves its routes as a leased user, and leaves none', () => servesOrders({}));

  it('the ten-minute start does the same on the server of its own file', async () => {
    const secretId = join(folder, 'secret_id_of_dev');
    const port = String(await freePort());
    const args = [builtBin(), 'dev', '--port', port, '--secret-id-file', secretId];
    const server = run('docs/getting-started.md', args, { HOME: folder });
    await eventually(() => expect(server.output).toContain('export PGDATABASE='));
    const address = `http://127.0.0.1:${port}`;
    expect(server.output).toContain(`export VAULT_ADDR=${address}\nexport VAULT_ROLE_ID=app\n`);
    await servesOrders({ VAULT_ADDR: address, VAULT_ROLE_ID: 'app', VAULT_SECRET_ID_FILE: secretId });
    server.stop();
    expect(await server.ended, server.output).toEqual([0, null]);
  });

  it('on the server of the file for migrations, one role creates a table and the other one uses it', async () => {
    await postgres.query('create database migrated');
    const port = String(await freePort());
    const ADMIN_URL = (env['ADMIN_URL'] as string).replace(/[^/]*$/, 'migrated');
    const args = [builtBin(), 'dev', 'migrations.dev.mjs', '--port', port, '--secret-id-file', 'secret_id'];
    const server = run('docs/local-development.md', args, { HOME: folder, ADMIN_URL });
    await eventually(() => expect(server.output).toContain('export PGDATABASE='));
    const queries = async (role: string, sql: string) => {
      const query = `import('pg').then(async ({ default: { Client } }) => {
        const client = new Client();
        await client.connect();
        console.log((await client.query(${JSON.stringify(sql)})).rows);
        await client.end();
      })`;
      const command = ['exec', '--database', role, '--pg', '--', process.execPath, '-e', query];
      const exec = spawn(process.execPath, [builtBin(), ...command], {
        cwd: join(programs, 'docs/local-development.md'),
        env: {
          ...process.env,
          VAULT_ADDR: `http://127.0.0.1:${port}`,
          VAULT_ROLE_ID: 'app',
          VAULT_SECRET_ID_FILE: 'secret_id',
          PGDATABASE: 'migrated',
        },
      });
      children.add(exec);
      let output = '';
      for (const stream of [exec.stdout, exec.stderr])
        stream.on('data', (chunk) => (output += String(chunk)));
      expect(await once(exec, 'close'), output).toEqual([0, null]);
      return output;
    };
    await queries('orders-migrations', 'create table things (id bigserial, name text)');
    expect(await queries('orders', `insert into things (name) values ('tea') returning *`)).toContain('tea');
    server.stop();
    expect(await server.ended, server.output).toEqual([0, null]);
    await left();
  });

  it('the job without Nest prints its row, and ends its user', async () => {
    const program = run('docs/scripts-and-jobs.md', 'src/job.js');
    expect(await program.ended, program.output).toEqual([0, null]);
    expect(program.output).toMatch(/user: 'v-approle-orders-/);
    await left();
  });

  it('the worker without Nest ends at SIGTERM, with its user', async () => {
    const program = run('docs/scripts-and-jobs.md', 'src/worker.js');
    const placed = async () => (await postgres.query('select from orders')).rows.length;
    await eventually(async () => expect(await placed()).toBeGreaterThan(0));
    expect(await users()).toHaveLength(1);
    program.stop();
    expect(await program.ended, program.output).toEqual([0, null]);
    await left();
  });

  writeSnippets();
  describe.each(specs)('$page: $file', async (spec) => {
    await import(/* @vite-ignore */ join(root, pathOf(spec)));
  });
});
