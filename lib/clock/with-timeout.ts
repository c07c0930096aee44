import type { Clock } from './clock.js';

/**
 * Waits for some work, for so many milliseconds at most; what comes later comes to nothing.
 *
 * @param keepAlive whether the process stays for it
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
