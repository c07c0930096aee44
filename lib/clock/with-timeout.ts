import type { Clock } from './clock.js';

/**
 * Waits for `work`, at most `limit` milliseconds. A later result is ignored.
 *
 * @param limit a function is asked again at its end: the limit may have grown
 * @param late creates the error of a time-out
 * @param keepAlive whether the timer keeps the process alive
 */
export async function withTimeout<T>(
  work: Promise<T>,
  limit: number | (() => number),
  clock: Clock,
  late: () => Error,
  keepAlive = true,
): Promise<T> {
  let cancel = () => {};
  const most = typeof limit === 'function' ? limit : () => limit;
  const end = new Promise<never>((_resolve, reject) => {
    const wait = (from: number, to: number) => {
      const onEnd = () => {
        const next = most();
        if (next > to) wait(to, next);
        else reject(late());
      };
      cancel = clock.setTimer(to - from, onEnd, keepAlive);
    };
    wait(0, most());
  });
  try {
    return await Promise.race([work, end]);
  } finally {
    cancel();
  }
}
