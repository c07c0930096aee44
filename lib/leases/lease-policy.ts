import type { RotationReason } from '../events/events.js';

/** What is known of a lease when the question is what to do with it next. Times in milliseconds. */
export interface LeaseView {
  /** Granted TTL; Infinity for a secret without a lease. */
  granted: number;
  /** Left of it. */
  left: number;
  /** Left of the token that made it, with which it dies. */
  tokenLeft: number;
  renewable: boolean;
  /** The last renewal was granted less than the one before: the max TTL is near. */
  capped: boolean;
  /** For how long there has been a newer token than the one that made it; undefined where there is none. */
  superseded: number | undefined;
  /** Until the server will have rotated what it handed out without a lease (static roles); undefined for others. */
  refreshIn?: number;
  /** Random, -1 to 1, drawn once for each grant. */
  jitter: number;
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

/** What to do next with the lease that is in use. */
export function nextLeaseStep(lease: LeaseView, renewal: { at: number; jitter: number }): LeaseStep {
  const left = Math.min(lease.left, lease.tokenLeft);
  if (left <= 0) return { action: 'rotate', in: 0, reason: 'expired' };
  if (lease.superseded !== undefined) {
    const spread = Math.min((left + lease.superseded) * STAGGER, MAX_STAGGER);
    const at = (spread * (lease.jitter + 1)) / 2;
    return { action: 'rotate', in: Math.max(0, at - lease.superseded), reason: 'token' };
  }
  if (lease.refreshIn !== undefined) {
    return { action: 'rotate', in: Math.max(0, lease.refreshIn), reason: 'server' };
  }
  if (lease.granted === Infinity) return { action: 'none', in: Infinity, reason: 'no-lease' };
  if (lease.capped) return { action: 'rotate', in: 0, reason: 'max-ttl' };
  const elapsed = lease.granted - lease.left;
  if (!lease.renewable) {
    const overlap = Math.min(1_000, lease.granted * MIN_OVERLAP);
    const at = Math.min(
      lease.granted * (NOT_RENEWABLE_AT + renewal.jitter * lease.jitter),
      lease.granted - overlap,
    );
    return { action: 'rotate', in: Math.max(0, at - elapsed), reason: 'not-renewable' };
  }
  const at = lease.granted * (renewal.at + renewal.jitter * lease.jitter);
  return { action: 'renew', in: Math.max(0, at - elapsed), reason: 'renewal' };
}

/** A renewal that keeps failing is tried until so little is left; then it is time for a new lease. */
export function renewalMargin(granted: number): number {
  return Math.max(granted * 0.1, Math.min(2_000, granted * 0.2));
}
