import { VaultError } from '../../errors/vault-error.js';

/**
 * Passes a config on, unless it has credentials of its own.
 *
 * @param names the keys that would override the leased ones, and what the user of the library knows them as
 * @throws VaultError `VAULT_CONFIG_INVALID`
 */
export function withoutCredentials<T extends object>(config: T, names: Readonly<Record<string, string>>): T {
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
