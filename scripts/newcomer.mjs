// npm run newcomer: the first ten minutes of a user, from the packed tarball. Sets up an OpenBao and a PostgreSQL by
// the blocks of docs/server-setup.md, then writes the blocks of README.md and docs/testing.md into a new application on Nest 11
// (CommonJS, jest) and one on Nest 12 (ESM, vitest), as they stand; builds, tests, starts and ends each.
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startOpenBao, startPostgres, usersInDatabase } from '../test/support/servers.mjs';
import { ensureBuilt, ensureInstalled } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'nestjs-vault-newcomer-'));
/** Milliseconds for a server to answer, or for users to come and go. */
const PATIENCE = 20_000;

const blocksOf = (page, languages) =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(([, language]) => languages.includes(language))
    .map(([, language, text]) => ({ language, text }));

/** The applications as `nest new` makes them, but for what has no part in this. */
const JEST = {
  moduleFileExtensions: ['js', 'json', 'ts'],
  rootDir: 'src',
  testRegex: String.raw`.*\.spec\.ts$`,
  transform: { '^.+\\.(t|j)s$': 'ts-jest' },
  testEnvironment: 'node',
};
const VITEST = `export default { test: { globals: true, root: './', include: ['src/**/*.spec.ts'] } };\n`;
const APPLICATIONS = [
  {
    name: 'Nest 11, CommonJS, jest',
    nest: '^11.0.1',
    manifest: { jest: JEST },
    tools: { jest: '^30', 'ts-jest': '^29', '@types/jest': '^30', typescript: '^5.7' },
    types: ['jest', 'node'],
    config: '@nestjs/config@4',
    test: ['jest'],
  },
  {
    name: 'Nest 12, ESM, vitest',
    nest: '^12.0.1',
    manifest: { type: 'module' },
    tools: { vitest: '^4', typescript: '^6' },
    types: ['vitest/globals', 'node'],
    config: '@nestjs/config@latest',
    test: ['vitest', 'run'],
    esm: true,
  },
];

/** Runs a command to its end; its output is told where it fails. */
function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`${command} ${args.join(' ')}: ${code}\n${output}`)),
    );
  });
}
const shell = (text, options) => run('bash', ['-euo', 'pipefail', '-c', text], options);

async function until(what, holds) {
  for (const end = Date.now() + PATIENCE; !(await holds()); await sleep(50))
    if (Date.now() > end) throw new Error(`${what}: not within ${PATIENCE} ms`);
}

/** Follows the page on the set-up of a server; returns the environment of an application. */
async function setUp(bao, postgres) {
  symlinkSync(await ensureOpenBao(), join(scratch, 'bao'));
  const env = {
    PATH: `${scratch}${delimiter}${process.env.PATH}`,
    HOME: scratch,
    VAULT_ADDR: bao.address,
    VAULT_TOKEN: bao.rootToken,
    DATABASE: `${postgres.host}:${postgres.port}/${postgres.database}?sslmode=disable`,
    INITIAL_PASSWORD: 'change-me',
    DELIVERY: join(scratch, 'delivery'),
  };
  // The first block has the reader's own values.
  for (const { language, text } of blocksOf('docs/server-setup.md', ['sh', 'sql']).slice(1)) {
    if (language === 'sql') await postgres.query(text);
    else await shell(text, { cwd: scratch, env });
  }
  const { body } = await bao.api('GET', 'auth/approle/role/orders/role-id');
  return {
    VAULT_ADDR: bao.address,
    VAULT_ROLE_ID: body.data.role_id,
    VAULT_SECRET_ID_FILE: join(scratch, 'delivery/secret_id'),
  };
}

/** Writes the blocks that name a file in their first line. */
function write(folder, esm) {
  for (const page of ['README.md', 'docs/testing.md'])
    for (const { text } of blocksOf(page, ['ts', 'js'])) {
      const [, name] = /^\/\/ (\S+\.m?[jt]s)\n/.exec(text) ?? [];
      if (!name) continue;
      // As README says.
      const adapted = esm ? text.replaceAll("'./app.module'", "'./app.module.js'") : text;
      writeFileSync(join(folder, name), adapted);
    }
}

async function create({ name, nest, manifest, tools, types, config, esm }, tarball) {
  const folder = join(scratch, name.replaceAll(/\W+/g, '-'));
  mkdirSync(join(folder, 'src'), { recursive: true });
  const packages = ['common', 'core', 'platform-express', 'testing'].map((one) => [`@nestjs/${one}`, nest]);
  const dependencies = Object.fromEntries([...packages, ['reflect-metadata', '^0.2.2'], ['rxjs', '^7.8.1']]);
  const devDependencies = { '@types/node': '^24', ...tools };
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ private: true, dependencies, devDependencies, ...manifest }),
  );
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        module: 'nodenext',
        target: 'ES2023',
        esModuleInterop: true,
        isolatedModules: true,
        emitDecoratorMetadata: true,
        experimentalDecorators: true,
        skipLibCheck: true,
        strictNullChecks: true,
        outDir: './dist',
        rootDir: './src',
        types,
      },
      include: ['src'],
    }),
  );
  if (esm) writeFileSync(join(folder, 'vitest.config.js'), VITEST);
  write(folder, esm);
  copyFileSync(tarball, join(folder, 'nestjs-vault.tgz'));
  const quiet = '--no-audit --no-fund --loglevel=error';
  const [line] = blocksOf('README.md', ['sh']).filter(({ text }) =>
    text.includes('npm install nestjs-vault'),
  );
  const command = line.text
    .replace('install nestjs-vault', 'install ./nestjs-vault.tgz')
    .replace('@nestjs/config@latest', config)
    .replaceAll('npm install', `npm install ${quiet}`);
  await shell(command, { cwd: folder });
  await run('npx', ['tsc', '-p', '.'], { cwd: folder });
  return folder;
}

/** Starts the application, waits for its user, ends it, and looks that none is left. */
async function live(folder, env, postgres) {
  const child = spawn(process.execPath, ['dist/main.js'], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)));
  try {
    await until(
      `the start\n${output}`,
      () => output.includes('successfully started') || child.exitCode !== null,
    );
    if ((await usersInDatabase(postgres)).length !== 1) throw new Error(`there is no user:\n${output}`);
  } finally {
    child.kill('SIGTERM');
  }
  const how = await ended;
  if (how !== 'SIGTERM' && how !== 0) throw new Error(`it ended by ${how}:\n${output}`);
  await until('no user left', async () => (await usersInDatabase(postgres)).length === 0);
}

/** The server of the page on tests, in the place of OpenBao. */
async function withLocalServer(folder, env, work) {
  const child = spawn(process.execPath, ['vault-local.mjs'], {
    cwd: folder,
    env: { ...env, VAULT_PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    let output = '';
    child.stdout.on('data', (text) => (output += text));
    await until('the simulated server', () => output.includes('VAULT_SECRET_ID_FILE='));
    await work({
      ...env,
      ...Object.fromEntries(
        output
          .trim()
          .split(' ')
          .map((one) => one.split('=')),
      ),
    });
  } finally {
    child.kill();
  }
}

let failed = 0;
const servers = [];
try {
  await ensureInstalled();
  await ensureBuilt();
  servers.push(...(await Promise.all([startOpenBao({ storage: 'raft' }), startPostgres()])));
  const [bao, postgres] = servers;
  const own = await setUp(bao, postgres);
  console.log('ok      the page on the set-up of a server');
  await postgres.query(`CREATE ROLE ci LOGIN PASSWORD 'ci-password' IN ROLE orders_app`);
  const packed = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch], {
    cwd: root,
  });
  const tarball = join(scratch, Object.values(JSON.parse(packed.slice(packed.search(/^[[{]/m))))[0].filename);
  const { host, port, database, connectionString } = postgres;
  const { PATH, HOME } = process.env;
  const env = {
    PATH,
    HOME,
    PORT: '0',
    ADMIN_URL: connectionString,
    PGHOST: host,
    PGPORT: String(port),
    PGDATABASE: database,
  };
  const folders = await Promise.all(
    APPLICATIONS.map((one) => create(one, tarball).catch((error) => ({ error }))),
  );
  for (const [index, { name, test }] of APPLICATIONS.entries()) {
    const started = performance.now();
    try {
      const folder = folders[index];
      if (folder.error) throw folder.error;
      await run('npx', test, { cwd: folder, env });
      await live(folder, { ...env, ...own }, postgres);
      await withLocalServer(folder, env, (local) => live(folder, local, postgres));
      console.log(`ok      ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed++;
      console.log(`FAILED  ${name}\n${error.message}`);
    }
  }
} finally {
  await Promise.all(servers.map((one) => one.stop()));
  rmSync(scratch, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;
