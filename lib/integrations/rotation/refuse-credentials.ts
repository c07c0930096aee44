import { VaultError } from '../../errors/vault-error.js';

/**
 * Returns a config unchanged if it has no credentials of its own.
 *
 * @param names the keys that would override the leased credentials, and their names in the options of the library
 * @throws VaultError `VAULT_CONFIG_INVALID`
 */
export function refuseCredentials<T extends object>(config: T, names: Readonly<Record<string, string>>): T {
  for (const [key, name] of Object.entries(names)) {
    if ((config as Record<string, unknown>)[key] === undefined) continue;
    throw new VaultError({
      code: 'VAULT_CONFIG_INVALID',
      message: `The config of a rotating pool names \`${name}\`, which would override the leased credentials.`,
      hint: 'Give `host`, `port`, `database` and `ssl` separately; user and password come from the stream.',
    });
  }
  return config;
}
