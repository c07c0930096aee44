import type { ApiResponse } from '../client/api.types.js';
import { isDuration } from '../client/answer-members.js';
import { malformed } from '../errors/common-errors.js';
import type { VaultError } from '../errors/vault-error.js';
import { incrementForDrain } from '../lifetime/drain-policy.js';
import { firstGrant, otherWarnings, renewedGrant } from '../lifetime/grant.js';
import { SUFFICIENT_SHARE, renewPastCaches, type Renewed } from '../lifetime/renew-past-caches.js';
import { refusedToken } from '../session/token-validator.js';
import type { Lease } from './lease.js';
import type { LeaseContext } from './lease-context.js';
import { latestStart } from './latest-start.js';
import { RENEW_PATH } from './retirement.js';

const LOOK_UP_PATH = 'sys/leases/lookup';
const MIN_TIMEOUT = 500;

/**
 * Sends one renewal and updates the lease by the answer. Throws failures that say nothing about the lease.
 *
 * @param increment seconds until the server shall end the lease; absent for an ordinary renewal
 * @returns warnings to emit once each: warnings of the server, and one if the policy does not allow renewals
 */
export async function renewLease(
  lease: Lease<unknown>,
  context: LeaseContext,
  increment?: number,
): Promise<readonly string[]> {
  if (lease.token.lastUse) {
    lease.renewable = false;
    return [];
  }
  const { session, upkeep, clock, random, emit, options } = context;
  const { path, serial } = lease;
  const asked = increment ?? incrementForDrain(lease.view(clock), options.renewal);
  const body = { lease_id: lease.id, ...(asked !== undefined && { increment: asked }) };
  try {
    const send = (to: string, uncached: boolean, of: object) =>
      session.send(lease.token, {
        method: 'POST',
        path: to,
        body: of,
        timeout: Math.max(lease.left(clock) / 2, MIN_TIMEOUT),
        uncached,
        lane: 'vital',
      });
    const renew = () =>
      renewPastCaches({
        path: RENEW_PATH,
        async renew(uncached) {
          const response = await send(RENEW_PATH, uncached, body);
          if (response.leaseId !== lease.id || !response.wellFormed) throw malformed(RENEW_PATH);
          return response;
        },
        read: ({ leaseDuration, ...response }) => ({ ...response, seconds: leaseDuration }),
        lookUp: async () => readLookUp(lease, await send(LOOK_UP_PATH, false, { lease_id: lease.id })),
        sufficientTime: asked === undefined ? lease.firstTtl * SUFFICIENT_SHARE : Infinity,
      });
    const { seconds, renewable, sentAt, warnings } = await upkeep.run(renew, latestStart(lease, clock));
    lease.renewable = renewable;
    if (seconds <= 0) {
      // Less than a second is left until the max TTL. The server rounded it to 0 and ended the lease.
      lease.over = true;
    } else if (increment === undefined) {
      const { ttl: previousTtl } = lease.grant;
      lease.grant = renewedGrant(lease.grant, seconds, sentAt, warnings, random, asked);
      const { ttl, maxTtl } = lease.grant;
      const capped = maxTtl !== 'far';
      emit({ type: 'renewed', path, serial, validUntil: lease.validUntil(), ttl, previousTtl, capped });
    } else {
      lease.grant = { ...firstGrant(seconds, sentAt, random), maxTtl: lease.grant.maxTtl };
      lease.retired = true;
      emit({ type: 'retired', path, serial, how: 'asked' });
    }
    return otherWarnings(warnings);
  } catch (error) {
    return refused(lease, context, error);
  }
}

function readLookUp(lease: Lease<unknown>, { data, sentAt }: ApiResponse): Renewed {
  const { id, ttl, renewable } = (data ?? {}) as Record<string, unknown>;
  if (id !== lease.id || !isDuration(ttl)) throw malformed(LOOK_UP_PATH);
  return { seconds: ttl, renewable: renewable === true, sentAt, warnings: [] };
}

async function refused(
  lease: Lease<unknown>,
  { session }: LeaseContext,
  error: unknown,
): Promise<readonly string[]> {
  const { code, hint } = error as VaultError;
  if (code === 'VAULT_LEASE_NOT_FOUND') lease.over = true;
  else if (code === 'VAULT_LEASE_AT_MAX_TTL') lease.grant = { ...lease.grant, maxTtl: 'reached' };
  else if (code === 'VAULT_LEASE_NOT_RENEWABLE') lease.renewable = false;
  else if (refusedToken(error) && (await session.isDead(lease.token))) lease.over = true;
  else if (code === 'VAULT_PERMISSION_DENIED' || code === 'VAULT_TOKEN_INVALID') {
    lease.renewable = false;
    return [`The policy does not allow renewals, so new leases are issued in time. ${hint}`];
  } else throw error;
  return [];
}
