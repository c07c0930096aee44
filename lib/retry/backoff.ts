/** Milliseconds; the delay is never shorter, however little time is left. */
const MIN_DELAY = 100;
/** With much time left, the first delay is this share of it, so that a fleet does not retry in step after an outage. */
const FIRST_SHARE = 1 / 40;
/** A delay is longer than 30 s only up to this share of the time left. */
const LONG_DELAY = { delay: 30_000, share: 1 / 8 };
/** A delay is at most this share of the TTL: then retries come about as often as renewals. */
const TTL_SHARE = 1 / 6;

/** How urgent a retry is. Times in milliseconds. */
export interface RetryDeadline {
  /** Until the deadline; 0 once past, Infinity if none. */
  left: number;
  /** TTL of one grant; Infinity if it does not bound the delay. */
  ttl: number;
}

/** No deadline. */
export const NO_DEADLINE: RetryDeadline = { left: Infinity, ttl: Infinity };

/**
 * Milliseconds to wait after the `attempt`-th failure in a row. The delay doubles, is partly random, and leaves time
 * for one more attempt before the deadline.
 */
export function backoff(
  attempt: number,
  retry: { initialDelay: number; maxDelay: number; jitter: number },
  { left, ttl }: RetryDeadline = NO_DEADLINE,
  random: () => number = Math.random,
): number {
  const first = left < Infinity ? Math.max(retry.initialDelay, left * FIRST_SHARE) : retry.initialDelay;
  const ofTimeLeft = left < Infinity ? left * LONG_DELAY.share : 0;
  const longest = Math.max(retry.initialDelay, Math.min(LONG_DELAY.delay, ttl * TTL_SHARE), ofTimeLeft);
  const full = Math.min(retry.maxDelay, longest, first * 2 ** Math.min(attempt - 1, 30));
  const delay = full * (1 - retry.jitter * random());
  return left > 0 ? Math.max(Math.min(delay, left / 2), Math.min(MIN_DELAY, full)) : delay;
}

/**
 * Milliseconds to wait after a `Retry-After` of the server. A random part is added, so that clients do not all return
 * at the same moment.
 */
export function staggered(asked: number, jitter: number, random: () => number = Math.random): number {
  return asked * (1 + jitter * random());
}
