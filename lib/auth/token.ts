import { isSource, problemsOf } from '../secret/is-source.js';
import { readSecret, type SecretSource, type WrappedSecret } from '../secret/secret-source.js';
import type { AuthMethod } from './auth-method.js';
import { LOOK_UP_SELF, readLookUp } from './token-look-up.js';

const WRAPPED: WrappedSecret = {
  kind: 'token',
  path: /^auth\/token\/create(?:-orphan|\/[^/]+)?$/,
  of: ({ auth }) => auth?.client_token,
};

/**
 * Uses a token that something else made: for local development with a short-lived token. It is looked up once at
 * start, renewed while it can be, read again from its source when it dies, and never revoked, as it is not ours. A
 * file ({@link fromFile}) is looked at every ten seconds, so that what an agent writes into it is taken up.
 *
 * Out of a {@link fromWrappedToken} it takes the token that was made at `auth/token/create` (or at `creationPath`).
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
