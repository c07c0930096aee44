import { Inject } from '@nestjs/common';
import { getSecretToken, type InjectSecretOptions } from '../vault.tokens.js';

/**
 * Injects a KV secret, in a constructor parameter or a property: a `Secret` of the value of `key`, or of the whole
 * object; with `schema`, of its output. It is read once, before the provider is built. With `watch`, an `Observable` of
 * such secrets is injected. A missing secret or key, and a value that does not match the schema, fails the start. With
 * `@Optional()` of Nest, `undefined` is injected if the server answers that there is no such secret or key.
 *
 * @example
 * constructor(
 *   \@InjectSecret('payments', { key: 'apiKey', version: 3 }) private readonly apiKey: Secret,
 *   \@InjectSecret('mail', { schema: Mail }) private readonly mail: Secret<SchemaOutput<typeof Mail>>,
 *   \@InjectSecret('flags', { watch: true }) private readonly flags$: Observable<Secret<Flags>>,
 * ) {}
 * @throws VaultError `VAULT_PATH_INVALID` for an invalid path, `VAULT_CONFIG_INVALID` for invalid options
 * @publicApi
 */
export function InjectSecret(path: string, options: InjectSecretOptions = {}): ReturnType<typeof Inject> {
  return Inject(getSecretToken(path, options));
}
