import { Inject } from '@nestjs/common';
import { getSecretToken, type InjectSecretOptions } from '../vault.tokens.js';

/**
 * Injects a KV secret, in a constructor parameter or a property: a `Secret` of the value of `key`, or of the whole
 * object. It is read once, before the provider is built; a missing secret or key fails the start.
 *
 * @example constructor(\@InjectSecret('payments', { key: 'apiKey', version: 3 }) private readonly apiKey: Secret) {}
 * @throws VaultError `VAULT_PATH_INVALID` for an invalid path
 * @publicApi
 */
export function InjectSecret(path: string, options: InjectSecretOptions = {}): ReturnType<typeof Inject> {
  return Inject(getSecretToken(path, options));
}
