import type { RotationReason } from '../events/events.js';
import type { Grant } from '../lifetime/grant.js';
import {
  drainExceedsOverlap,
  requiredOverlap,
  timeUntilReplacement,
  timeToDrain,
  type DrainView,
} from '../lifetime/drain-policy.js';
import { renewalDue } from '../lifetime/renewal-policy.js';

/** What is known of a lease when the question is what to do with it next. Times in milliseconds. */
export interface LeaseView extends DrainView, Pick<Grant, 'jitter'> {
  /** Left of the token that made it, with which it dies. */
  tokenLeft: number;
  /** For how long there has been a newer token than the one that made it; undefined where there is none. */
  superseded: number | undefined;
  /** Until the server will have rotated what it handed out without a lease (static roles); undefined for others. */
  refreshIn?: number;
}

export type LeaseStep =
  | { action: 'renew'; in: number; reason: 'renewal' }
  | { action: 'rotate'; in: number; reason: RotationReason }
  | { action: 'none'; in: number; reason: 'no-lease' };

/** A lease that cannot be renewed is replaced at this share of its TTL: late, as nothing can go wrong before. */
const NOT_RENEWABLE_AT = 0.9;
/** The new credential gets at least this share of the old one's TTL as overlap, as far as it is below a second. */
const MIN_OVERLAP = 1 / 3;
/** Over this share of what is left of the old token, its leases are issued again, one after the other. */
const STAGGER = 0.25;
const MAX_STAGGER = 30_000;

/**
 * What to do next with the lease that is in use.
 *
 * @param rotationFailed that was tried last: as long as renewals bring something, one that is due comes before the next
 */
export function nextLeaseStep(
  lease: LeaseView,
  renewal: { at: number; jitter: number },
  rotationFailed = false,
): LeaseStep {
  const { ttl, renewable, maxTtl, superseded, refreshIn } = lease;
  const left = Math.min(lease.left, lease.tokenLeft);
  if (left <= 0) return { action: 'rotate', in: 0, reason: 'expired' };
  if (refreshIn !== undefined) return { action: 'rotate', in: Math.max(0, refreshIn), reason: 'server' };
  if (ttl === Infinity) return { action: 'none', in: Infinity, reason: 'no-lease' };
  const elapsed = ttl - lease.left;
  const renew = { action: 'renew', in: renewalDue(lease, renewal), reason: 'renewal' } as const;
  if (rotationFailed && renewable && maxTtl !== 'reached' && renew.in <= 0) return renew;
  if (superseded !== undefined) {
    const total = left + superseded;
    const spread = Math.min(total * STAGGER, MAX_STAGGER, Math.max(0, total - timeToDrain(lease)));
    const at = (spread * (lease.jitter + 1)) / 2;
    return { action: 'rotate', in: Math.max(0, at - superseded), reason: 'token' };
  }
  if (maxTtl !== 'far')
    return {
      action: 'rotate',
      in: drainExceedsOverlap(lease, renewal) ? timeUntilReplacement(lease) : 0,
      reason: 'max-ttl',
    };
  if (renewable) return renew;
  const overlap = Math.max(Math.min(1_000, ttl * MIN_OVERLAP), requiredOverlap(lease));
  const at = Math.min(ttl * (NOT_RENEWABLE_AT + renewal.jitter * lease.jitter), ttl - overlap);
  return { action: 'rotate', in: Math.max(0, at - elapsed), reason: 'not-renewable' };
}

/** The same for a lease that nothing replaces: neither a newer token nor a near max TTL is a reason to let it go. */
export function nextHeldStep(lease: LeaseView, renewal: { at: number; jitter: number }): LeaseStep {
  const maxTtl = lease.maxTtl === 'reached' ? 'reached' : 'far';
  return nextLeaseStep({ ...lease, maxTtl, superseded: undefined, drain: 0 }, renewal);
}

/** A renewal that keeps failing is tried until so little is left; then it is time for a new lease. */
export function renewalMargin(ttl: number): number {
  return Math.max(ttl * 0.1, Math.min(2_000, ttl * 0.2));
}
