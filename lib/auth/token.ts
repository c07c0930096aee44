import { readSecret, type SecretSource } from '../secret/secret-source.js';
import type { AuthMethod } from './auth-method.js';
import { isSource } from './is-source.js';
import { LOOK_UP_SELF, readLookUp } from './token-look-up.js';

/**
 * Uses a token that something else made: for local development with a short-lived token. It is looked up once at
 * start, renewed while it can be, read again from its source when it dies, and never revoked, as it is not ours. A
 * file ({@link fromFile}) is looked at every ten seconds, so that what an agent writes into it is taken up.
 *
 * At login it throws `VAULT_TOKEN_INVALID` and `VAULT_SOURCE_UNREADABLE`.
 *
 * @publicApi
 */
export function token(source: SecretSource): AuthMethod {
  const watched = isSource(source) && typeof source === 'object' && 'version' in source ? source : undefined;
  return {
    kind: 'token',
    ...(watched && { version: async () => (await watched.version?.()) ?? '' }),
    problems: isSource(source)
      ? []
      : ['`auth: token` needs a source: a value, a function, fromEnv or fromFile'],
    async login(context) {
      const secret = await readSecret(
        source,
        {
          send: (request, token) => context.send(request, token),
          warn: (message) => context.warn(message),
          expectedPath: /(?!)/,
        },
        'token',
      );
      const lookUp = readLookUp(await context.send(LOOK_UP_SELF, secret));
      return { ...lookUp, token: secret, own: false };
    },
  };
}
