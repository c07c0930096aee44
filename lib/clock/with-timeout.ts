import type { Clock } from './clock.js';

/**
 * Waits for `work`, at most `limit` milliseconds. A later result is ignored.
 *
 * @param late creates the error of a time-out
 * @param keepAlive whether the timer keeps the process alive
 */
export async function withTimeout<T>(
  work: Promise<T>,
  limit: number,
  clock: Clock,
  late: () => Error,
  keepAlive = true,
): Promise<T> {
  let cancel = () => {};
  const end = new Promise<never>((_resolve, reject) => {
    cancel = clock.setTimer(limit, () => reject(late()), keepAlive);
  });
  try {
    return await Promise.race([work, end]);
  } finally {
    cancel();
  }
}
