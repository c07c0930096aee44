import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { codeOf } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';
import { invalid } from './invalid.js';

/**
 * Loads a module of the application by `import()`: a file, or a package as the application would find it (in its
 * node_modules, not in those of this package).
 *
 * @param specifier a path (`dist/vault.options.js`, `./x.mjs`, absolute) or the name of a package (`@nestjs/core`)
 * @param folder the application's folder
 * @throws VaultError `VAULT_CONFIG_INVALID`
 */
export async function loadModule(specifier: string, folder: string): Promise<Record<string, unknown>> {
  const file = fileOf(specifier, folder);
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (error) {
    throw notLoaded(specifier, error);
  }
}

function fileOf(specifier: string, folder: string): string {
  const path = resolve(folder, specifier);
  if (statSync(path, { throwIfNoEntry: false })?.isFile()) return path;
  try {
    return createRequire(join(folder, 'package.json')).resolve(specifier);
  } catch (error) {
    throw notLoaded(specifier, error);
  }
}

/** The module's own error may contain secrets, so the message has its class or its code alone. */
function notLoaded(specifier: string, error: unknown): VaultError {
  const missing = ['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND'].includes(codeOf(error));
  const typescript = /\.[cm]?tsx?$/.test(specifier)
    ? ' Name the compiled file, as dist/vault.options.js.'
    : '';
  return invalid(
    missing
      ? `The module "${specifier}", or a module that it imports, was not found.`
      : `The module "${specifier}" could not be loaded: ${codeOf(error)}.`,
    `Paths are relative to the current folder. To see the whole error, run: node ${specifier}${typescript}`,
  );
}
