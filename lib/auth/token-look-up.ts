import type { ApiRequest, ApiResponse } from '../client/api.types.js';
import { textOf } from '../client/answer.js';
import { isDuration } from '../client/answer-members.js';
import type { Deadline } from '../clock/deadline.js';
import { malformed } from '../errors/common-errors.js';
import type { Secret } from '../secret/secret.js';
import type { Login, LogInOptions } from './auth-method.js';
import type { CheckedLogin } from './checked-login.js';

/** Looks up a token, or the one that an agent attaches to the request. */
export async function lookUp(
  send: (request: ApiRequest, token?: Secret) => Promise<ApiResponse>,
  token: Secret | undefined,
  { namespace }: Pick<LogInOptions, 'namespace'> = {},
): Promise<Login & { sentAt: Deadline }> {
  const place = namespace === undefined ? {} : { namespace };
  const known = readLookUp(await send({ ...place, ...LOOK_UP_SELF }, token));
  return { ...known, ...place, ...(token && { token }), own: false };
}

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
  const accessor = textOf(known['accessor']);
  return {
    accessor,
    // Agents remove the accessor of their own token.
    identity: accessor || textOf(known['issue_time']),
    // Only a token without expiry has no `expire_time`; a TTL of less than a second is rounded to 0, too.
    ttl: known['expire_time'] ? Math.max(ttl, 1) : ttl,
    renewable: known['renewable'] === true,
    uses,
    type: textOf(known['type']) || 'service',
    sentAt,
  };
}
