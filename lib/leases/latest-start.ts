import type { Clock } from '../clock/clock.js';
import type { Lease } from './lease.js';

/** A request waits for a free place at most this share of the time left of its lease. */
const WAIT_SHARE = 0.25;
/** Milliseconds for a secret without a lease: the password of a static role is useless after a rotation. */
const WAIT_WITHOUT_END = 1_000;

/**
 * Monotonic time at which a request for a lease is sent even without a free place: the lease would be lost otherwise. A
 * request for an expired lease waits for a free place.
 */
export function latestStart(lease: Lease<unknown>, clock: Clock): number {
  const left = lease.left(clock);
  if (left <= 0) return Infinity;
  return clock.monotonic() + (left === Infinity ? WAIT_WITHOUT_END : left * WAIT_SHARE);
}
