import { readSecret, type SecretSource } from '../secret/secret-source.js';
import { malformed } from '../errors/common-errors.js';
import type { AuthMethod } from './auth-method.js';
import { isSource } from './is-source.js';

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
      const path = 'auth/token/lookup-self';
      const { data, sentAt } = await context.send<Record<string, unknown> | null>(
        { method: 'GET', path },
        secret,
      );
      if (typeof data?.['ttl'] !== 'number') throw malformed(path);
      const uses = Number(data['num_uses'] ?? 0);
      return {
        token: secret,
        accessor: text(data['accessor']),
        // Only a token without an end has none; one in its last second rounds to 0, too.
        ttl: data['expire_time'] ? Math.max(data['ttl'], 1) : data['ttl'],
        renewable: data['renewable'] === true,
        uses,
        type: text(data['type']) || 'service',
        sentAt,
        own: false,
      };
    },
  };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
