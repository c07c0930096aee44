import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import { ownFile } from '../../errors/own-file.js';
import { VaultError } from '../../errors/vault-error.js';
import { floorFor, type DriverName } from './floors.js';

/** A package on disk. */
interface Found {
  folder: string;
  version: string;
}

/**
 * Throws for a driver that is older than its integration supports. Does nothing if the version is unknown.
 *
 * @param imported this package loads the driver itself; false if the application does, which may have another copy
 * @param from a file of this package
 * @throws VaultError `VAULT_DRIVER_TOO_OLD`
 */
export function checkDriver(name: DriverName, { imported = true, from = ownFile } = {}): void {
  const found = from === undefined ? undefined : find(name, imported, from);
  if (!found) return;
  const { floor, reached } = floorFor(name, found.version);
  if (reached) return;
  throw new VaultError({
    code: 'VAULT_DRIVER_TOO_OLD',
    message: `${name} ${found.version} is too old for leased credentials: ${floor} or later is required.`,
    hint:
      `Run \`npm install ${name}@^${floor}\` (or pnpm add, yarn add). The old version is in ${found.folder}; ` +
      `\`npm explain ${name}\` lists the packages that require it.`,
  });
}

/** The copy of the driver in use, if it is known. */
function find(name: DriverName, imported: boolean, from: string): Found | undefined {
  try {
    const require = createRequire(from);
    const found = packageOf(require.resolve(name), name);
    // A bundle contains the driver, or resolves another copy from its own folder, so it has to be loaded already.
    if (!found || (imported && packageOf(from, 'nestjs-vault'))) return found;
    const loaded = Object.keys(require.cache).some((file) => file.startsWith(found.folder + sep));
    return loaded ? found : undefined;
  } catch {
    return undefined;
  }
}

/** The package of that name that contains a file. Reads its package.json from disk, as not every driver exports it. */
function packageOf(file: string, name: string): Found | undefined {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = manifestIn(folder);
    if (manifest?.name === name && typeof manifest.version === 'string') {
      return { folder, version: manifest.version };
    }
  }
  return undefined;
}

function manifestIn(folder: string): { name?: unknown; version?: unknown } | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as object;
  } catch {
    return undefined;
  }
}
