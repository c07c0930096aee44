// hvac, the client of HashiCorp Vault in Python, from PyPI: an independent client for `npm run test:auth`.
import { execFile } from 'node:child_process';
import { access, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const VERSION = '2.4.0';
const folder = fileURLToPath(new URL(`../../.cache/hvac-${VERSION}`, import.meta.url));
const TIMEOUT = 120_000;

/** @returns {Promise<string>} the Python that has it; rejects without Python, or where pip cannot install it */
export async function ensureHvac() {
  const python = (place) => join(place, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  const found = await access(python(folder)).then(
    () => true,
    () => false,
  );
  if (found) return python(folder);
  const scratch = `${folder}.${process.pid}`;
  try {
    await run('python3', ['-m', 'venv', scratch], { timeout: TIMEOUT });
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `hvac==${VERSION}`];
    await run(python(scratch), pip, { timeout: TIMEOUT });
    // The interpreter of a moved venv still finds its packages; its scripts are not used.
    await rename(scratch, folder);
  } catch (error) {
    await rm(scratch, { recursive: true, force: true });
    throw new Error(`python3 or pip cannot install hvac (${error.code ?? error.message})`);
  }
  return python(folder);
}
