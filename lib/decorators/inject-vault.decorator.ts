import { Inject } from '@nestjs/common';
import { getVaultToken } from '../vault.tokens.js';
import type { InjectDecorator } from './record.js';

/**
 * Injects the `VaultClient` of a connection, in a constructor parameter or a property.
 *
 * @param name of the connection; the one without a name where absent
 * @publicApi
 */
export function InjectVault(name?: string): InjectDecorator {
  return Inject(getVaultToken(name));
}
