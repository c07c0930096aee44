import { compileFunction } from 'node:vm';
import { VaultError } from '../errors/vault-error.js';
import { codeOf } from '../errors/printable.js';

/**
 * Runs a file of CommonJS without the loader of Node: nothing finds this copy, so the application's own and the caches of
 * modules stay as they are.
 *
 * @param module receives the exports; given by the caller, as files may require each other in a circle
 */
export function runFile(
  source: string,
  filename: string,
  require: (name: string) => unknown,
  module: { exports: unknown },
): void {
  compileFunction(source, ['exports', 'require', 'module'], { filename })(module.exports, require, module);
}

/**
 * The package as Node or a bundle imports it, where it cannot be copied.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` if it is missing
 */
export async function importWhole<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    throw new VaultError({
      code: 'VAULT_CONFIG_INVALID',
      message: `The package ${name} cannot be loaded: error ${codeOf(error)}.`,
      hint: `Install the dependencies of nestjs-vault again. A bundle must contain ${name}, or have it in a node_modules.`,
    });
  }
}
