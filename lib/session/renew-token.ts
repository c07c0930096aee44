import type { ApiRequest, ApiResponse } from '../client/api-client.js';
import type { Clock } from '../clock/clock.js';
import { malformed } from '../errors/common-errors.js';
import type { VaultError } from '../errors/vault-error.js';
import type { Generation } from './generation.js';
import { renewedGrant } from './grant.js';

const MIN_TIMEOUT = 500;

/**
 * Renews a token once: adopts what was granted, and keeps on it what the server says of it. Throws what may pass, and
 * refusals that may mean that it is dead.
 *
 * @returns `ended`: the server has done so; `refused`: it will never renew it, or not any further
 */
export async function renewToken(
  generation: Generation,
  context: { clock: Clock; random: () => number },
  session: { send(generation: Generation, request: ApiRequest): Promise<ApiResponse> },
): Promise<'renewed' | 'ended' | 'refused'> {
  const path = 'auth/token/renew-self';
  const timeout = Math.max(generation.left(context.clock) / 2, MIN_TIMEOUT);
  try {
    const request = { ...generation.place, method: 'POST', path, body: {}, timeout } as const;
    const response = await session.send(generation, request);
    const { auth, sentAt, warnings } = response;
    if (typeof auth?.lease_duration !== 'number') throw malformed(path);
    // The max TTL is less than a second away, which the server rounds to nothing: it has ended the token.
    if (auth.lease_duration <= 0) return 'ended';
    generation.grant = renewedGrant(generation.grant, auth.lease_duration, sentAt, warnings, context.random);
    generation.renewable = auth.renewable;
    return 'renewed';
  } catch (error) {
    const { code } = error as VaultError;
    if (code === 'VAULT_LEASE_AT_MAX_TTL') generation.grant = { ...generation.grant, maxTtl: 'reached' };
    else if (code === 'VAULT_LEASE_NOT_RENEWABLE' || code === 'VAULT_PERMISSION_DENIED')
      generation.renewable = false;
    else throw error;
    return 'refused';
  }
}
