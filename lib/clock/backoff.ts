/** Never try more often than this, however little time is left. */
const FLOOR = 100;

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
  const full = Math.min(retry.maxDelay, retry.initialDelay * 2 ** Math.min(attempt - 1, 30));
  const delay = full * (1 - retry.jitter * random());
  return left > 0 ? Math.max(Math.min(delay, left / 2), Math.min(FLOOR, full)) : delay;
}
