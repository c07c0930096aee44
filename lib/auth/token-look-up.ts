import type { ApiResponse } from '../client/api.types.js';
import { textOf } from '../client/answer.js';
import { isDuration } from '../client/answer-members.js';
import { malformed } from '../errors/common-errors.js';
import type { CheckedLogin } from './checked-login.js';

/** The request that looks up its own token. */
export const LOOK_UP_SELF = { method: 'GET', path: 'auth/token/lookup-self' } as const;

/**
 * Reads the server's data of a token.
 *
 * @throws VaultError `VAULT_RESPONSE_INVALID`
 */
export function readLookUp({ data, sentAt }: ApiResponse): Omit<CheckedLogin, 'token' | 'own' | 'namespace'> {
  const known = (data ?? {}) as Record<string, unknown>;
  const { ttl, num_uses: uses = 0 } = known;
  if (!isDuration(ttl) || !isDuration(uses)) throw malformed(LOOK_UP_SELF.path);
  return {
    accessor: textOf(known['accessor']),
    // Only a token without expiry has no `expire_time`; a TTL of less than a second is rounded to 0, too.
    ttl: known['expire_time'] ? Math.max(ttl, 1) : ttl,
    renewable: known['renewable'] === true,
    uses,
    type: textOf(known['type']) || 'service',
    sentAt,
  };
}
