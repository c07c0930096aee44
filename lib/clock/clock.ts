/**
 * Two clocks and one timer. All time-dependent code of this package takes time from here, so that it runs under a
 * virtual clock.
 */
export interface Clock {
  /** Milliseconds that never decrease; not comparable between processes. */
  monotonic(): number;
  /** Milliseconds since 1970; may step in either direction. */
  wall(): number;
  /**
   * Calls `callback` once after `delay` milliseconds. The returned function cancels the timer. The process may end
   * before the timer fires, unless `keepAlive` is set.
   */
  setTimer(delay: number, callback: () => void, keepAlive?: boolean): () => void;
  /**
   * Calls `callback` on the next turn of the event loop, after its I/O. A clock without this method is asked for a timer
   * of 0 ms instead.
   */
  nextTurn?(callback: () => void): () => void;
  /**
   * Announces work on real servers, which takes real time. A virtual clock stands still until the work has settled, at
   * most for `limit` real milliseconds; the real clock has no such method.
   */
  hold?(work: Promise<unknown>, limit?: number): void;
}

/** The times of a clock, without its timers. */
export type Times = Pick<Clock, 'monotonic' | 'wall'>;

/** The present times of a clock, for calculations that are all of one moment. */
export function atOneMoment(clock: Times): Times {
  const [monotonic, wall] = [clock.monotonic(), clock.wall()];
  return { monotonic: () => monotonic, wall: () => wall };
}

/** Milliseconds; Node fires timers with a longer delay at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Node's timer, saved before a test installs fake timers, which stand still. */
export const realTimeout = setTimeout;

/** The real clock. */
export const systemClock: Clock & Required<Pick<Clock, 'nextTurn'>> = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  setTimer(delay, callback, keepAlive = false) {
    const timer = setTimeout(callback, Math.min(delay, LONGEST_TIMER));
    if (!keepAlive) timer.unref();
    return () => clearTimeout(timer);
  },
  nextTurn(callback) {
    // Not `unref`: Node runs such an immediate only when something else ends its wait for I/O.
    const turn = setImmediate(callback);
    return () => clearImmediate(turn);
  },
};

/**
 * Resolves after `delay` milliseconds, or rejects with the signal's reason.
 *
 * @param keepAlive whether the timer keeps the process alive
 */
export function sleep(clock: Clock, delay: number, signal?: AbortSignal, keepAlive = true): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const abort = () => {
      cancel();
      reject(signal?.reason as Error);
    };
    const cancel = clock.setTimer(
      delay,
      () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      },
      keepAlive,
    );
    signal?.addEventListener('abort', abort, { once: true });
  });
}
