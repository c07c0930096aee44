import { Inject } from '@nestjs/common';
import { getVaultToken } from '../vault.tokens.js';

/**
 * Injects the `VaultClient` of a connection, in a constructor parameter or a property.
 *
 * @param name name of the connection; by default the one without a name
 * @publicApi
 */
export function InjectVault(name?: string): ReturnType<typeof Inject> {
  return Inject(getVaultToken(name));
}
