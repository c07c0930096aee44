import { VaultError } from '../errors/vault-error.js';

/** The error of a command that cannot work with what it was given. */
export function invalid(message: string, hint: string): VaultError {
  return new VaultError({ code: 'VAULT_CONFIG_INVALID', message, hint });
}
