import { isSource, missingIn, problemsOf, type SecretSource } from '../secret/secret-source.js';
import type { AuthMethod } from './auth-method.js';

const INPUT = { name: 'token', wrappedAt: /^auth\/token\/create(?:-orphan|\/[^/]+)?$/ };

/**
 * Uses a token that another process made: for local development with a short-lived token. It is looked up once at the
 * start, renewed while possible, read again from its source when it becomes invalid, and never revoked. A file
 * ({@link fromFile}) is checked every ten seconds, so that a new token of an agent is used.
 *
 * From a {@link fromWrappedToken} it takes the token that was made at `auth/token/create` (or at `creationPath`).
 *
 * At login it throws `VAULT_TOKEN_INVALID`, `VAULT_SOURCE_UNREADABLE`, and those of {@link fromWrappedToken}.
 *
 * @publicApi
 */
export function token(source: SecretSource): AuthMethod {
  const watched = isSource(source) && typeof source === 'object' && 'version' in source ? source : undefined;
  return {
    name: 'token',
    ...(watched && { version: async () => (await watched.version?.()) ?? '' }),
    problems: isSource(source)
      ? problemsOf(source)
      : ['`auth: token` needs a source: a value, a function, fromEnv, fromFile or fromWrappedToken'],
    missing: () => missingIn(source, INPUT.name),
    login: async (context) => context.lookUp(await context.read(source, INPUT)),
  };
}
