import { Inject } from '@nestjs/common';
import {
  getCredentialsToken,
  type CredentialsTarget,
  type InjectCredentialsOptions,
} from '../vault.tokens.js';

/**
 * Injects an observable of credentials, in a constructor parameter or a property. With the name of a database role
 * it is an `Observable<DatabaseCredentials>`; with `{ path, parameters }` an `Observable<Credentials<T>>` of any
 * lease-backed secret. The first one is issued before the application starts; a failure fails the start. With
 * `@Optional()` of Nest, `undefined` is injected if the server has no such role or secret.
 *
 * @example constructor(\@InjectCredentials('orders') private readonly credentials$: Observable<DatabaseCredentials>) {}
 * @throws VaultError `VAULT_PATH_INVALID` for an invalid name
 * @publicApi
 */
export function InjectCredentials(
  target: CredentialsTarget,
  options: InjectCredentialsOptions = {},
): ReturnType<typeof Inject> {
  return Inject(getCredentialsToken(target, options));
}
