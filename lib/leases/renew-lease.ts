import type { ApiResponse } from '../client/api.types.js';
import { isDuration } from '../client/answer-members.js';
import { malformed } from '../errors/common-errors.js';
import type { VaultError } from '../errors/vault-error.js';
import type { WarningCode } from '../events/log-lines.js';
import { otherWarnings, type GrantAnswer, type GrantUpdate } from '../lifetime/grant.js';
import { SUFFICIENT_SHARE, renewPastCaches } from '../lifetime/renew-past-caches.js';
import { refusedToken } from '../session/token-validator.js';
import type { Lease } from './lease.js';
import type { LeaseContext } from './lease-context.js';
import { incrementOf } from './lease-policy.js';
import { latestStart } from './latest-start.js';
import { RENEW_PATH } from './retirement.js';

const LOOK_UP_PATH = 'sys/leases/lookup';
const MIN_TIMEOUT = 500;

interface Warning {
  readonly code: WarningCode;
  readonly text: string;
}

/** The result of a renewal. */
interface Renewal {
  update: GrantUpdate;
  /** To emit once each: warnings of the server, and one if the policy does not allow renewals. */
  warnings: readonly Warning[];
}

/**
 * Sends one renewal. Throws failures that say nothing about the lease.
 *
 * @param increment seconds until the server shall end the lease; absent for an ordinary renewal
 */
export async function renewLease(
  lease: Lease<unknown>,
  context: LeaseContext,
  increment?: number,
): Promise<Renewal> {
  if (lease.token.lastUse) return { update: { kind: 'not-renewable' }, warnings: [] };
  const { session, upkeep, clock, options } = context;
  const asked = increment ?? incrementOf(lease.view(clock), options.renewal);
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
        read: ({ leaseDuration: seconds, renewable, sentAt, warnings }) => ({
          seconds,
          renewable,
          sentAt,
          warnings,
        }),
        lookUp: async () => readLookUp(lease, await send(LOOK_UP_PATH, false, { lease_id: lease.id })),
        sufficientTime: asked === undefined ? lease.firstTtl * SUFFICIENT_SHARE : Infinity,
      });
    const answer = await upkeep.run(renew, latestStart(lease, clock));
    const warnings = otherWarnings(answer.warnings).map((text): Warning => ({
      code: 'server-warning',
      text,
    }));
    // Less than a second is left until the max TTL. The server rounded it to 0 and ended the lease.
    if (answer.seconds <= 0) return { update: { kind: 'ended' }, warnings };
    const periodic = asked !== undefined && answer.seconds > asked;
    if (increment === undefined) return { update: { kind: 'renewed', answer, asked, periodic }, warnings };
    return { update: { kind: 'retired', answer }, warnings };
  } catch (error) {
    return refused(lease, context, error);
  }
}

function readLookUp(lease: Lease<unknown>, { data, sentAt }: ApiResponse): GrantAnswer {
  const { id, ttl, renewable } = (data ?? {}) as Record<string, unknown>;
  if (id !== lease.id || !isDuration(ttl)) throw malformed(LOOK_UP_PATH);
  return { seconds: ttl, renewable: renewable === true, sentAt, warnings: [] };
}

async function refused(lease: Lease<unknown>, { session }: LeaseContext, error: unknown): Promise<Renewal> {
  const { code, hint } = error as VaultError;
  const report = (kind: 'ended' | 'at-max-ttl' | 'not-renewable', ...warnings: Warning[]) => ({
    update: { kind },
    warnings,
  });
  if (code === 'VAULT_LEASE_NOT_FOUND') return report('ended');
  if (code === 'VAULT_LEASE_AT_MAX_TTL') return report('at-max-ttl');
  if (code === 'VAULT_LEASE_NOT_RENEWABLE') return report('not-renewable');
  if (refusedToken(error) && (await session.isDead(lease.token))) return report('ended');
  if (code !== 'VAULT_PERMISSION_DENIED' && code !== 'VAULT_TOKEN_INVALID') throw error;
  const text = `The policy does not allow renewals, so new leases are issued in time. ${hint}`;
  return report('not-renewable', { code: 'renewal-denied', text });
}
