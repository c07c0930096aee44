import type { Clock } from '../clock/clock.js';
import type { Lease } from './lease.js';

/** Of what is left of a lease, so much may be spent on waiting for a place. */
const SHARE = 0.25;
/** Milliseconds for what has no end of its own: the password of a static role is of no use once it was rotated. */
const ENDLESS = 1_000;

/**
 * Monotonic time at which a request about a lease leaves, whatever else is under way: without it the lease would be
 * lost. One that is over has nothing more to lose, and waits its turn.
 */
export function latestStart(lease: Lease<unknown>, clock: Clock): number {
  const left = lease.left(clock);
  if (left <= 0) return Infinity;
  return clock.monotonic() + (left === Infinity ? ENDLESS : left * SHARE);
}
