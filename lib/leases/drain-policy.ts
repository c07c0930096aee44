import type { LeaseStatus } from '../events/status.js';
import type { LeaseView } from './lease-policy.js';

/** Milliseconds for the new lease to be put in place, for what the server rounds away, and before the very end. */
const MARGIN = 2_000;
/** No lease is replaced before this share of its life, however long its consumers need. */
const SHARE = 0.5;
/** However short the TTL of the role, what was extended is not renewed before. */
const MIN_RENEWAL = 1_000;

/** What consumers need of a lease, and what it was issued for. Times in milliseconds. */
export type DrainView = Pick<
  LeaseView,
  'ttl' | 'firstTtl' | 'drain' | 'left' | 'age' | 'maxTtl' | 'renewable'
>;

/** Renewed as usual, it leaves its consumers too little time to drain when a newer one takes over. */
export function needsRoom({ firstTtl, drain }: Pick<DrainView, 'firstTtl' | 'drain'>, at: number): boolean {
  return drain > 0 && firstTtl < Infinity && drain + MARGIN > firstTtl * (1 - at);
}

/** Milliseconds to ask for at a renewal: always enough, so that when no more is granted there is time to drain. */
export function roomyTtl({ firstTtl, drain }: Pick<DrainView, 'firstTtl' | 'drain'>): number {
  return firstTtl + drain;
}

/** Milliseconds after which at the latest to renew, so that the time to drain is never cut into. */
export function latestRenewal({ ttl, firstTtl, drain }: DrainView): number {
  const latest = ttl - drain - MARGIN;
  // The first time it may be at once: the server issues without room.
  return ttl > firstTtl ? Math.max(latest, MIN_RENEWAL) : Math.max(latest, 0);
}

/** Milliseconds before its end at which a lease that cannot be extended is replaced. */
export function overlapFor({ ttl, drain }: Pick<DrainView, 'ttl' | 'drain'>): number {
  return drain > 0 ? Math.min(drain + MARGIN, ttl * SHARE) : 0;
}

/** Milliseconds until one that will be extended no further is replaced. */
export function replacedIn({ age, left }: Pick<DrainView, 'age' | 'left'>): number {
  return Math.max(0, left - (age + left) * SHARE);
}

/** What a status tells where consumers need longer than the server allows, as far as is known. */
export function drainStatus(
  lease: DrainView,
  renewal: { at: number; jitter: number },
): Pick<LeaseStatus, 'drain'> {
  const needed = lease.drain;
  const allowed = needsRoom(lease, renewal.at + renewal.jitter) ? allowedDrain(lease) : Infinity;
  return needed > allowed ? { drain: { needed, allowed: Math.floor(allowed) } } : {};
}

/** The same for the log. */
export function drainTooLong(lease: DrainView, renewal: { at: number; jitter: number }): string | undefined {
  const { drain } = drainStatus(lease, renewal);
  return (
    drain &&
    `Consumers may need ${drain.needed / 1_000} s to let go of a lease, but its TTLs leave them only about ` +
      `${(drain.allowed / 1_000).toFixed(1)} s: what takes longer fails. Raise default_ttl and max_ttl of the role, or ` +
      'lower the drain window of the pool.'
  );
}

function allowedDrain({ ttl, age, left, renewable, maxTtl }: DrainView): number {
  if (!renewable) return ttl * SHARE;
  return maxTtl === 'far' ? Infinity : (age + left) * SHARE;
}
