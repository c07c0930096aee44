import type { Clock } from './clock.js';

/**
 * Waits for `work`, at most `limit` milliseconds. A later result is ignored.
 *
 * @param limit a function is asked again at its end: the limit may have grown
 * @param late creates the error of a time-out
 * @param keepAlive whether the timer keeps the process alive
 */
export function withTimeout<T>(
  work: Promise<T>,
  limit: number | (() => number),
  clock: Clock,
  late: () => Error,
  keepAlive = true,
): Promise<T> {
  const most = typeof limit === 'function' ? limit : () => limit;
  return new Promise((resolve, reject) => {
    let cancel = () => {};
    const wait = (from: number, to: number) => {
      const onEnd = () => {
        const next = most();
        if (next > to) wait(to, next);
        else reject(late());
      };
      cancel = clock.setTimer(to - from, onEnd, keepAlive);
    };
    wait(0, most());
    work.then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error: unknown) => {
        cancel();
        reject(error as Error);
      },
    );
  });
}
