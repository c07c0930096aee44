import { VaultError } from './vault-error.js';

/**
 * Loads packages that only one feature needs.
 *
 * @param user the part of the application's code that needs them
 * @param load the `import()`, written with the name, so that bundlers find it
 * @throws VaultError `VAULT_CONFIG_INVALID` with the command that installs them
 */
export async function optionalPackage<T>(user: string, names: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const missing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
    throw new VaultError({
      code: 'VAULT_CONFIG_INVALID',
      message: `${user} cannot load ${names}: ${missing ? 'not installed' : `error ${code ?? 'unknown'}`}.`,
      hint: `Run \`npm install ${names}\` (or pnpm add, yarn add): they are optional peers of this package.`,
    });
  }
}
