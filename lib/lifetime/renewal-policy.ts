import { drainExceedsOverlap, latestRenewal, type DrainView } from './drain-policy.js';
import type { Grant } from './grant.js';

/** Milliseconds until the renewal of a lease or token is due; NaN if it never ends. */
export function renewalDue(
  view: DrainView & Pick<Grant, 'jitter'>,
  renewal: { at: number; jitter: number },
): number {
  const usual = usualRenewal(view, renewal);
  const at = drainExceedsOverlap(view, renewal) ? Math.min(usual, latestRenewal(view)) : usual;
  return Math.max(0, at - (view.ttl - view.left));
}

/** Milliseconds after the grant at which a renewal is due. */
export function usualRenewal(
  { ttl, jitter }: Pick<Grant, 'ttl' | 'jitter'>,
  renewal: { at: number; jitter: number },
): number {
  // With less than a second left, the server may round the new TTL to 0, which ends the lease.
  return Math.min(ttl * (renewal.at + renewal.jitter * jitter), Math.max(ttl - 1_000, ttl / 2));
}
