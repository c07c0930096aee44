import type { Clock } from '../clock/clock.js';
import { remaining } from '../clock/deadline.js';
import type { Lease } from './lease.js';
import { nextHeldStep, nextLeaseStep, renewalMargin, type LeaseStep } from './lease-policy.js';

/** The share of the margin that is left for other ways, where the server seems to be away. */
const LAST = 0.2;

/** What matters besides the lease itself. */
export interface Circumstances {
  /** Nothing is rotated any more. */
  frozen: boolean;
  /** Tries that failed in a row. */
  failures: number;
  /** What was tried last was to issue a new one. */
  rotationFailed: boolean;
  /** What was tried last got no answer of a working server. */
  away: boolean;
}

/** What to do next with the lease that is in use, after failures and surprises, too. */
export function planLease(
  lease: Lease<unknown>,
  { frozen, failures, rotationFailed, away }: Circumstances,
  clock: Clock,
  renewal: { at: number; jitter: number },
): LeaseStep {
  if (isLost(lease)) return { action: 'rotate', in: 0, reason: 'lease-lost' };
  const view = lease.view(clock);
  const step = frozen ? nextHeldStep(view, renewal) : nextLeaseStep(view, renewal, rotationFailed);
  if (isSurprise(lease, step, clock) && failures === 0) return { action: 'renew', in: 0, reason: 'renewal' };
  const rejectedIn = (lease.rejected?.at ?? Infinity) - clock.monotonic();
  if (rejectedIn < step.in) return { action: 'rotate', in: Math.max(0, rejectedIn), reason: 'rejected' };
  // Of its own TTL: that its token has less left is a matter of the token.
  // While the server is away nothing could be issued either; once it is back, a renewal spares the consumers. At last
  // it is asked for all the same, as it may be the renewals alone that do not get there.
  const margin = renewalMargin(lease.grant.ttl) * (away ? LAST : 1);
  const late = failures > 0 && remaining(lease.grant.deadline, clock) < margin;
  const givenUp = step.action === 'renew' && late && !rotationFailed && !frozen;
  return givenUp ? { action: 'rotate', in: 0, reason: 'renewal-failing' } : step;
}

/** The server said that it has ended, or that its token has. */
export function isLost({ id, over, token }: Lease<unknown>): boolean {
  return over || (id !== '' && token.dead);
}

/** A timer that came late, or a clock that was set: whether it still lives is asked, once, and not assumed. */
function isSurprise({ token, grant, renewable }: Lease<unknown>, step: LeaseStep, clock: Clock): boolean {
  if (step.reason !== 'expired' || token.dead) return false;
  const inUse = token.supersededAt === undefined;
  if (remaining(grant.deadline, clock) > 0) return inUse;
  return renewable && grant.maxTtl === 'far' && (inUse || token.left(clock) > 0);
}
