// Prerequisites of all other scripts: packages, the build of the library, the builds of the samples.
// Runs in a fresh clone, so it uses Node built-ins only.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withProgress } from './setup/progress.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const readJson = (path) => JSON.parse(readFileSync(join(root, path), 'utf8'));

/** An error that is printed by its message only, without a stack trace. */
export class SetupError extends Error {}

/** @throws SetupError if this Node is not one of `engines` in package.json */
export function ensureNode() {
  const { node } = readJson('package.json').engines;
  if (satisfies(process.versions.node, node)) return;
  throw new SetupError(`This needs Node ${node}; ${process.execPath} is ${process.version}.`);
}

/** Parses the notation of `engines` in package.json: `^x.y.z` and `>=x.y.z`, joined by `||`. */
function satisfies(version, range) {
  const numbers = (text) => text.match(/\d+/g).slice(0, 3).map(Number);
  const given = numbers(version);
  return range.split('||').some((part) => {
    const least = numbers(part);
    if (part.trim().startsWith('^') && given[0] !== least[0]) return false;
    const differs = least.findIndex((number, index) => number !== given[index]);
    return differs === -1 || given[differs] > least[differs];
  });
}

/** Installs the packages of the lock file, unless they are installed. */
export async function ensureInstalled() {
  ensureNode();
  if (isInstalled()) return;
  const command = existsSync(join(root, 'package-lock.json')) ? 'ci' : 'install';
  const npm = runNpm([command, '--include=dev', '--ignore-scripts', '--no-progress']);
  const code = await withProgress(`Installing packages (npm ${command}; once, about half a minute)`, npm);
  if (code !== 0) {
    throw new SetupError(
      `npm ${command} failed (${code}). Check the network and npm's registry, and start again.`,
    );
  }
}

// Both files list every package: the lock file the required ones, npm's own record the installed ones.
function isInstalled() {
  const record = 'node_modules/.package-lock.json';
  if (!existsSync(join(root, record))) return false;
  if (!existsSync(join(root, 'package-lock.json'))) return true;
  const installed = readJson(record).packages;
  return Object.entries(readJson('package-lock.json').packages).every(([path, { version, optional }]) => {
    if (path === '' || (optional && !installed[path])) return true;
    return installed[path]?.version === version && existsSync(join(root, path));
  });
}

/** Builds the library, unless dist is newer than its sources. */
export async function ensureBuilt() {
  const sources = [
    'lib',
    'package.json',
    'scripts/build.mjs',
    'tsconfig.json',
    'tsconfig.build.json',
    'tsconfig.cjs.json',
  ];
  // The build writes this file last.
  if (isNewer('dist/cjs/package.json', sources)) return;
  const build = run(process.execPath, [join('scripts', 'build.mjs')], { stdout: 2 });
  const code = await withProgress('Building the library', build);
  if (code !== 0) throw new SetupError(`The build of the library failed (${code}): see above.`);
}

/** Compiles a sample, as `sample/01-rotating-database`, unless it is compiled; returns the path of its main file. */
export async function ensureSample(sample) {
  linkLibrary(sample);
  if (existsSync(join(root, sample, 'prisma'))) await ensurePrismaClient(sample);
  const main = join(sample, 'dist', 'main.js');
  const sources = ['src', 'tsconfig.json'].map((name) => join(sample, name));
  if (!isNewer(main, [...sources, join('sample', 'common'), 'tsconfig.json'])) {
    rmSync(join(root, sample, 'dist'), { recursive: true, force: true });
    const tsc = join('node_modules', 'typescript', 'bin', 'tsc');
    const compiled = run(process.execPath, [tsc, '-p', sample], { stdout: 2 });
    const code = await withProgress(`Compiling ${sample}`, compiled);
    if (code !== 0) throw new SetupError(`${sample} does not compile (${code}): see above.`);
  }
  return join(root, main);
}

/** Generates the Prisma client of a sample, which a test uses, too, unless it is newer than its schema. */
export async function ensurePrismaClient(sample = join('sample', '03-prisma')) {
  if (isNewer(join(sample, 'src', 'generated', 'prisma', 'client.ts'), [join(sample, 'prisma')])) return;
  const prisma = join(root, 'node_modules', 'prisma', 'build', 'index.js');
  const generated = run(process.execPath, [prisma, 'generate'], {
    stdout: 'ignore',
    cwd: join(root, sample),
    // Prisma searches for an engine that generating does not need, and would download it; any file satisfies it.
    env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, PRISMA_HIDE_UPDATE_MESSAGE: '1' },
  });
  const code = await withProgress(`Generating the Prisma client of ${sample}`, generated);
  if (code !== 0)
    throw new SetupError(`The Prisma client of ${sample} was not generated (${code}): see above.`);
}

/**
 * A sample names the library as `file:../..`; npm would make the same link. Its other packages resolve to those of this
 * folder.
 */
function linkLibrary(sample) {
  const link = join(root, sample, 'node_modules', readJson('package.json').name);
  if (existsSync(link) && realpathSync(link) === realpathSync(root)) return;
  mkdirSync(dirname(link), { recursive: true });
  rmSync(link, { recursive: true, force: true });
  // A junction needs no rights on Windows, but an absolute target; elsewhere the clone can be moved.
  if (process.platform === 'win32') symlinkSync(root, link, 'junction');
  else symlinkSync('../../..', link);
}

function isNewer(target, sources) {
  const path = join(root, target);
  if (!existsSync(path)) return false;
  const built = statSync(path).mtimeMs;
  return sources.every((source) => newest(join(root, source)) <= built);
}

function newest(path) {
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  // The time of a folder shows removed files.
  return Math.max(mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

/** Installs with npm; returns its exit code. */
export function runNpm(args, options = {}) {
  const all = [...args, '--no-audit', '--no-fund', '--loglevel=error'];
  // npm sets its path when it runs this script. Otherwise npm is on the PATH; on Windows as a .cmd, which needs a
  // shell.
  const npm = process.env.npm_execpath;
  return basename(npm ?? '').startsWith('npm')
    ? run(process.execPath, [npm, ...all], options)
    : run('npm', all, { shell: process.platform === 'win32', ...options });
}

/** Runs a command, by default in this folder; returns its exit code, or the signal that ended it. */
export function run(command, args, { stdout = 'inherit', ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', stdout, 'inherit'], ...options });
    child.once('error', (error) =>
      reject(new SetupError(`${basename(command)} cannot be started: ${error.message}`)),
    );
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
}
