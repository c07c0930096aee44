/** Never try more often than this, however little time is left. */
const FLOOR = 100;
/** Who has much time left begins with this share of it, so that a fleet does not come back at once after an outage. */
const UNHURRIED = 1 / 40;
/** Longer delays than this are for who has much time left: up to this share of it. */
const LONG = { delay: 30_000, share: 1 / 8 };
/** What lives for a short time is asked for about as often as it would be renewed anyway. */
const PACE = 1 / 6;

/** How long there is to wait for something that failed. Times in milliseconds. */
export interface RetryDeadline {
  /** Until what is to be renewed is over: 0 where it is, Infinity where there is no hurry. */
  left: number;
  /** For how long it is granted at a time; Infinity where that does not matter. */
  ttl: number;
}

/** Nothing is known of when it has to work. */
export const NO_DEADLINE: RetryDeadline = { left: Infinity, ttl: Infinity };

/**
 * Milliseconds to wait after the `attempt`-th failure in a row: doubling, partly random, and short enough for one
 * more try before the time that is left is over.
 */
export function backoff(
  attempt: number,
  retry: { initialDelay: number; maxDelay: number; jitter: number },
  { left, ttl }: RetryDeadline = NO_DEADLINE,
  random: () => number = Math.random,
): number {
  const first = left < Infinity ? Math.max(retry.initialDelay, left * UNHURRIED) : retry.initialDelay;
  const unhurried = left < Infinity ? left * LONG.share : 0;
  const longest = Math.max(retry.initialDelay, Math.min(LONG.delay, ttl * PACE), unhurried);
  const full = Math.min(retry.maxDelay, longest, first * 2 ** Math.min(attempt - 1, 30));
  const delay = full * (1 - retry.jitter * random());
  return left > 0 ? Math.max(Math.min(delay, left / 2), Math.min(FLOOR, full)) : delay;
}

/**
 * Milliseconds to wait where the server asked for so many (`Retry-After`): partly random on top, or all that it told so
 * would come back in the same moment.
 */
export function staggered(asked: number, jitter: number, random: () => number = Math.random): number {
  return asked * (1 + jitter * random());
}
