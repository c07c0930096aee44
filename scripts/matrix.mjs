// npm run test:matrix [-- row …]: the suites of databases and drivers with other versions than those of development:
// the oldest accepted ones, and those that need a newer Node. Each row is a copy of this folder in .cache/matrix, with
// the same lock file otherwise.
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt, ensureInstalled, run, runNpm } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
/** The files of a copy, without generated ones. */
const FOLDERS = ['lib', 'test', 'scripts', 'sample', 'docs', 'bench', '.github'];
const FILES = [
  'package-lock.json',
  'vitest.config.ts',
  'tsconfig.json',
  'tsconfig.build.json',
  'tsconfig.cjs.json',
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
];
const MADE = new Set(['node_modules', 'dist', 'generated']);

await ensureInstalled();
await ensureBuilt();
const { FLOORS } = await import('../dist/esm/integrations/driver/floors.js');
/** The oldest versions of the packages of cloud logins. */
const CLOUDS = JSON.parse(readFileSync(new URL('cloud-floors.json', import.meta.url), 'utf8'));
/** `^11.0.0 || ^12.0.0` begins at 11.0.0. */
const first = (range) => /\d+\.\d+\.\d+/.exec(range)[0];
// A package without a lower limit stays as it is.
const limited = Object.entries(manifest.peerDependencies).filter(
  ([name, range]) => FLOORS[name] !== undefined || range !== '*',
);
const oldest = {
  ...CLOUDS,
  ...Object.fromEntries(limited.map(([name, range]) => [name, FLOORS[name]?.[0] ?? first(range)])),
};
const nest = oldest['@nestjs/core'];
const ROWS = {
  oldest: {
    node: first(manifest.engines.node),
    packages: {
      ...oldest,
      '@nestjs/testing': nest,
      '@nestjs/platform-express': nest,
      '@nestjs/typeorm': nest,
      '@mikro-orm/core': oldest['@mikro-orm/postgresql'],
      '@mikro-orm/knex': oldest['@mikro-orm/postgresql'],
    },
  },
  newer: {
    node: '24.22.3',
    packages: {
      kysely: '0.29.9',
      // npm does not install it beside TypeORM, which requires ioredis 5.
      ioredis: '6.0.0',
      '@mikro-orm/core': '7.2.5',
      '@mikro-orm/postgresql': '7.2.5',
      // Packages of MikroORM 6 only.
      '@mikro-orm/knex': undefined,
    },
  },
};

/** Further suites: those of pg itself, of features that rest on the internals of Nest, and of the packages of clouds. */
const TESTS = [
  'test/integration/pool*.spec.ts',
  'test/integration/rotation.spec.ts',
  'test/e2e/lookups.e2e.spec.ts',
  'test/e2e/on-rotation.e2e.spec.ts',
  'test/e2e/configuration.e2e.spec.ts',
  'test/unit/auth/cloud-providers.spec.ts',
];
/** Suites of pages whose versions differ from all rows. */
const ELSEWHERE = ['--exclude', 'test/drivers/{server-setup,prisma-page,page-programs}.spec.ts'];

const names = process.argv.slice(2);
const unknown = names.find((name) => !ROWS[name]);
if (unknown !== undefined)
  throw new Error(`There is no row ${unknown}. Rows: ${Object.keys(ROWS).join(', ')}.`);
const bin = await ensureOpenBao();
for (const name of names.length > 0 ? names : Object.keys(ROWS)) {
  const { node, packages } = ROWS[name];
  const versions = Object.entries(packages).filter(([, version]) => version);
  console.log(`── ${name}: Node ${node}, ${versions.map((pair) => pair.join(' ')).join(', ')}`);
  const folder = join(root, '.cache', 'matrix', name);
  const failed = await row(folder, ROWS[name]);
  console.log(`── ${name}: ${failed ? `FAILED, in ${folder}` : 'ok'}`);
  if (failed) process.exitCode = 1;
  else rmSync(folder, { recursive: true, force: true });
}

/** Whether a suite of the row failed. */
async function row(folder, { node, packages }) {
  rmSync(folder, { recursive: true, force: true });
  const filter = (path) => !MADE.has(basename(path));
  for (const file of [...FOLDERS, ...FILES])
    cpSync(join(root, file), join(folder, file), { recursive: true, filter });
  const devDependencies = { ...manifest.devDependencies, ...packages };
  // The package with the binary only: the package `node` has an install script.
  const runtime = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  devDependencies[runtime] = node;
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, devDependencies }, undefined, 2));
  if (await runNpm(['install', '--legacy-peer-deps', '--ignore-scripts'], { cwd: folder })) return true;
  // The published build is made with the versions of development. Last, as a build older than its sources is repeated.
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  const command = join(folder, 'node_modules', runtime, 'bin', 'node');
  // In one run, as the longest of them waits for a minute.
  const env = { ...process.env, BAO_BIN: bin, VAULT_TEST_WITH: TESTS.join(',') };
  return (await run(command, ['scripts/test-drivers.mjs', ...ELSEWHERE], { cwd: folder, env })) !== 0;
}
