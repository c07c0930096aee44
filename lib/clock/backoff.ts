/** Never try more often than this, however little time is left. */
const FLOOR = 100;
/** Who has much time left begins with this share of it, so that a fleet does not come back at once after an outage. */
const UNHURRIED = 1 / 40;

/**
 * Milliseconds to wait after the `attempt`-th failure in a row: doubling, partly random, and short enough for one
 * more try before `left` is over.
 */
export function backoff(
  attempt: number,
  retry: { initialDelay: number; maxDelay: number; jitter: number },
  left = Infinity,
  random: () => number = Math.random,
): number {
  const first = left < Infinity ? Math.max(retry.initialDelay, left * UNHURRIED) : retry.initialDelay;
  const full = Math.min(retry.maxDelay, first * 2 ** Math.min(attempt - 1, 30));
  const delay = full * (1 - retry.jitter * random());
  return left > 0 ? Math.max(Math.min(delay, left / 2), Math.min(FLOOR, full)) : delay;
}
