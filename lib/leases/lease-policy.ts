import type { RotationReason } from '../events/events.js';
import type { Grant } from '../lifetime/grant.js';
import {
  drainExceedsOverlap,
  incrementForDrain,
  requiredOverlap,
  timeUntilReplacement,
  timeToDrain,
  type DrainView,
} from '../lifetime/drain-policy.js';
import { renewalDue } from '../lifetime/renewal-policy.js';

/** The facts about a lease on which its next step depends. Times in milliseconds. */
export interface LeaseView extends DrainView, Pick<Grant, 'jitter' | 'periodic'> {
  /** Left of the token that made it, with which it dies. */
  tokenLeft: number;
  /** For how long there has been a newer token than the one that made it; undefined where there is none. */
  superseded: number | undefined;
  /** Until the server will have rotated what it handed out without a lease (static roles); undefined for others. */
  refreshIn?: number | undefined;
  /** Whether the server has reported that it, or its token, has ended. */
  lost: boolean;
  /** Whether it is lost after its deadline, or that of its token, has passed. */
  expired: boolean;
  /** Until it is replaced because a consumer was rejected with it; Infinity if none was. */
  rejectedIn: number;
}

/** The attempts before a step, and the state of the application. */
export interface LeaseAttempts {
  /** The application is shutting down: nothing is rotated any more. */
  frozen: boolean;
  /** Consecutive failed attempts. */
  failures: number;
  /** The last attempt was to issue a new lease. */
  rotationFailed: boolean;
  /** No working server answered the last attempt. */
  gotNoResponse: boolean;
}

/** The options of renewals that decide about a step; `ttl` in milliseconds. */
type Renewal = Readonly<{ at: number; jitter: number; ttl: number }>;

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

/** The share of the margin that is left for other attempts while no server answers. */
const LAST_SHARE = 0.2;

/** The next step of the lease in use, also after failures and late timers. */
export function planLease(
  lease: LeaseView,
  { frozen, failures, rotationFailed, gotNoResponse }: LeaseAttempts,
  renewal: Renewal,
): LeaseStep {
  if (lease.lost) return { action: 'rotate', in: 0, reason: lease.expired ? 'expired' : 'lease-lost' };
  const step = frozen ? nextHeldStep(lease, renewal) : nextLeaseStep(lease, renewal, rotationFailed);
  if (failures === 0 && isVerifiable(lease, step)) return { action: 'renew', in: 0, reason: 'renewal' };
  const { rejectedIn, left, ttl } = lease;
  if (rejectedIn < step.in) return { action: 'rotate', in: Math.max(0, rejectedIn), reason: 'rejected' };
  // Only its own TTL counts here: if its token has less left, a login is due.
  // While no server answers, nothing could be issued either; afterwards a renewal spares the consumers. Near the end a
  // new lease is asked for all the same, because it may be that only the renewals are lost.
  const margin = renewalMargin(ttl) * (gotNoResponse ? LAST_SHARE : 1);
  const givenUp = step.action === 'renew' && failures > 0 && left < margin && !rotationFailed && !frozen;
  return givenUp ? { action: 'rotate', in: 0, reason: 'renewal-failing' } : step;
}

/** After a late timer, or a clock that was set, the server is asked once whether the lease is alive. */
function isVerifiable(lease: LeaseView, step: LeaseStep): boolean {
  if (step.reason !== 'expired') return false;
  const inUse = lease.superseded === undefined;
  if (lease.left > 0) return inUse;
  return lease.renewable && lease.maxTtl === 'far' && (inUse || lease.tokenLeft > 0);
}

/**
 * The next step by the grant alone.
 *
 * @param rotationFailed the last attempt was a new lease and failed; while the TTL can still be extended, a due renewal
 * goes first
 */
export function nextLeaseStep(lease: LeaseView, renewal: Renewal, rotationFailed = false): LeaseStep {
  const { ttl, renewable, maxTtl, superseded, refreshIn } = lease;
  const left = Math.min(lease.left, lease.tokenLeft);
  if (left <= 0) return { action: 'rotate', in: 0, reason: 'expired' };
  if (refreshIn !== undefined) return { action: 'rotate', in: Math.max(0, refreshIn), reason: 'server' };
  if (ttl === Infinity) return { action: 'none', in: Infinity, reason: 'no-lease' };
  const elapsed = ttl - lease.left;
  const renew = {
    action: 'renew',
    in: isTooLong(lease, renewal) ? 0 : renewalDue(lease, renewal),
    reason: 'renewal',
  } as const;
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

/** The increment of an ordinary renewal in seconds. Undefined: the server decides. */
export function incrementOf(lease: LeaseView, renewal: Renewal): number | undefined {
  const limited = renewal.ttl < Infinity ? Math.ceil(lease.firstTtl / 1_000) : undefined;
  return incrementForDrain(lease, renewal) ?? limited;
}

/** Whether the role granted more than `renewal.ttl`, and a renewal has not tried yet to shorten it. */
function isTooLong(lease: LeaseView, renewal: Renewal): boolean {
  if (renewal.ttl === Infinity || lease.periodic) return false;
  return lease.ttl > (incrementOf(lease, renewal) ?? Infinity) * 1_000;
}

/** The same for a lease that nothing replaces: neither a newer token nor a near max TTL is a reason to let it go. */
export function nextHeldStep(lease: LeaseView, renewal: Renewal): LeaseStep {
  const maxTtl = lease.maxTtl === 'reached' ? 'reached' : 'far';
  return nextLeaseStep({ ...lease, maxTtl, superseded: undefined, drain: 0 }, renewal);
}

/** A renewal that keeps failing is tried until so little is left; then it is time for a new lease. */
export function renewalMargin(ttl: number): number {
  return Math.max(ttl * 0.1, Math.min(2_000, ttl * 0.2));
}
