import { Inject } from '@nestjs/common';
import { getVaultToken } from '../vault.tokens.js';

/**
 * Injects the `VaultClient` of a connection, in a constructor parameter or a property.
 *
 * @param name of the connection; the one without a name where absent
 * @publicApi
 */
export function InjectVault(name?: string): ReturnType<typeof Inject> {
  return Inject(getVaultToken(name));
}
