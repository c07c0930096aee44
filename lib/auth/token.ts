import {
  isSource,
  problemsOf,
  readSecret,
  type SecretSource,
  type WrappedSecret,
} from '../secret/secret-source.js';
import type { AuthMethod } from './auth-method.js';
import { LOOK_UP_SELF, readLookUp } from './token-look-up.js';

const WRAPPED: WrappedSecret = {
  kind: 'token',
  path: /^auth\/token\/create(?:-orphan|\/[^/]+)?$/,
  of: ({ auth }) => auth?.client_token,
};

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
    kind: 'token',
    ...(watched && { version: async () => (await watched.version?.()) ?? '' }),
    problems: isSource(source)
      ? problemsOf(source)
      : ['`auth: token` needs a source: a value, a function, fromEnv, fromFile or fromWrappedToken'],
    async login(context) {
      const secret = await readSecret(source, { ...context, wrapped: WRAPPED }, WRAPPED.kind);
      const lookUp = readLookUp(await context.send(LOOK_UP_SELF, secret));
      return { ...lookUp, token: secret, own: false };
    },
  };
}
