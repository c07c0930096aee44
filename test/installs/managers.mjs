// npm, pnpm and Yarn: how each installs an application from a package.json. pnpm and Yarn are installed from npm, into
// .cache.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const NPM = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const PACKAGES = { pnpm: '10.34.9', '@yarnpkg/cli-dist': '4.18.1', yarn: '1.22.22' };
/** Time limit of one command, in milliseconds. */
const PATIENCE = 180_000;

/** Runs a command to its end; `output` has stdout and stderr. */
export function run(command, args, { cwd, env = {} } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, timeout: PATIENCE });
    let stdout = '';
    let output = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.once('error', (error) => resolve({ ok: false, output: String(error), stdout: '' }));
    child.once('close', (code) => resolve({ ok: code === 0, output, stdout }));
  });
}

/**
 * Starts a Node program, and waits for a line of its output; returns the line, and a function that ends the program.
 */
export async function start(args, until, { cwd, env = {} }) {
  const child = spawn(process.execPath, args, { cwd, env: { ...process.env, ...env }, timeout: PATIENCE });
  const closed = new Promise((resolve) => child.once('close', resolve));
  let output = '';
  const found = await new Promise((resolve) => {
    const look = (chunk) => {
      output += chunk;
      const [line] = until.exec(output) ?? [];
      if (line !== undefined) resolve(line);
    };
    for (const stream of [child.stdout, child.stderr]) stream.on('data', look);
    void closed.then(() => resolve(undefined));
  });
  const stop = () => {
    child.kill('SIGTERM');
    return closed;
  };
  return { found, output: () => output, stop };
}

/**
 * By name: `prepare(folder)` writes further files beside the package.json, `install` and `node` are the commands.
 *
 * @param cache a folder that is kept between runs
 */
export async function packageManagers(cache) {
  const bin = await installed(join(cache, 'managers'));
  const pnpm = join(bin, 'pnpm', 'bin', 'pnpm.cjs');
  const yarn = join(bin, '@yarnpkg', 'cli-dist', 'bin', 'yarn.js');
  const yarn1 = join(bin, 'yarn', 'bin', 'yarn.js');
  const settings = await yarnSettings(join(cache, 'yarn'));
  const plain = (args) => [process.execPath, args];
  return {
    npm: {
      install: [NPM, ['install', '--no-audit', '--no-fund', '--loglevel=error']],
      node: plain,
    },
    pnpm: {
      install: [process.execPath, [pnpm, 'install', '--store-dir', join(cache, 'pnpm')]],
      node: plain,
    },
    // Plug'n'Play: no node_modules; packages are loaded from their archives.
    yarn: {
      prepare: (folder) => {
        writeFileSync(join(folder, 'yarn.lock'), '');
        writeFileSync(join(folder, '.yarnrc.yml'), settings);
      },
      install: [process.execPath, [yarn, 'install']],
      node: (args) => [process.execPath, [yarn, 'node', ...args]],
    },
    'yarn 1': {
      install: [
        process.execPath,
        [yarn1, 'install', '--no-progress', '--ignore-scripts', '--cache-folder', join(cache, 'yarn1')],
      ],
      node: plain,
    },
  };
}

/** The node_modules of the package managers. */
async function installed(folder) {
  const modules = join(folder, 'node_modules');
  const manifest = JSON.stringify({ private: true, dependencies: PACKAGES });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), manifest);
  const { ok, output } = await run(
    NPM,
    ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'],
    {
      cwd: folder,
    },
  );
  if (!ok || !existsSync(modules)) throw new Error(`pnpm and Yarn could not be installed:\n${output}`);
  return modules;
}

/** Yarn ignores npm's registry setting. */
async function yarnSettings(folder) {
  const { output } = await run(NPM, ['config', 'get', 'registry']);
  const registry = new URL(output.trim());
  const settings = {
    npmRegistryServer: registry.href,
    unsafeHttpWhitelist: [registry.hostname],
    globalFolder: folder,
    enableTelemetry: false,
    enableScripts: false,
    enableImmutableInstalls: false,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`)
    .join('');
}
