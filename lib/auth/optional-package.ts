import { VaultError } from '../errors/vault-error.js';

/**
 * Loads a package that only one auth method needs.
 *
 * @param load the `import()`, written with the name, so that bundlers find it
 * @throws VaultError `VAULT_CONFIG_INVALID` with the command that installs it
 */
export async function optionalPackage<T>(method: string, names: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const missing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
    throw new VaultError({
      code: 'VAULT_CONFIG_INVALID',
      message: `\`auth: ${method}\` cannot load ${names}: ${missing ? 'not installed' : `error ${code ?? 'unknown'}`}.`,
      hint: `Run \`npm install ${names}\` (or pnpm add, yarn add): they are optional peers of this package.`,
    });
  }
}
