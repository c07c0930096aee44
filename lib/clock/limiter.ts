import type { Scheduler } from './scheduler.js';
import { TimeHeap } from './time-heap.js';

interface Waiting {
  start: (() => void) | undefined;
}

/**
 * Runs at most `limit` jobs at a time. The waiting job with the earliest latest start is next. A job begins at its
 * latest start even without a free place: the limit bounds the load, and a lost credential costs more.
 */
export class Limiter {
  readonly #limit: number;
  readonly #scheduler: Pick<Scheduler, 'at'> | undefined;
  readonly #onIdle: (() => void) | undefined;
  readonly #waiting = new TimeHeap<Waiting>();
  #running = 0;

  /**
   * @param scheduler starts jobs at their latest start; without it, jobs wait for a free place
   * @param onIdle called when no job runs or waits any more
   */
  constructor(limit: number, scheduler?: Pick<Scheduler, 'at'>, onIdle?: () => void) {
    this.#limit = limit;
    this.#scheduler = scheduler;
    this.#onIdle = onIdle;
  }

  /** No job runs or waits. */
  get idle(): boolean {
    return this.#running === 0;
  }

  /** @param latest monotonic time at which the job begins even without a free place */
  async run<T>(job: () => Promise<T>, latest = Infinity): Promise<T> {
    const turn = this.enter(latest);
    if (turn) await turn;
    try {
      return await job();
    } finally {
      this.leave();
    }
  }

  /** Takes a place; the caller must call {@link leave} later. Returns undefined if a place is free now. */
  enter(latest = Infinity): Promise<void> | undefined {
    if (this.#running < this.#limit) {
      this.#running++;
      return undefined;
    }
    return new Promise((resolve) => {
      const waiting: Waiting = { start: resolve };
      this.#waiting.push(latest, waiting);
      if (latest === Infinity) return;
      const run = () => {
        if (!waiting.start) return;
        this.#running++;
        waiting.start();
      };
      const task = this.#scheduler?.at(latest, { run });
      waiting.start = () => {
        waiting.start = undefined;
        task?.cancel();
        resolve();
      };
    });
  }

  /** Releases a place. */
  leave(): void {
    // The place passes to a waiting job directly, so that no new job takes it first.
    const next = this.#running <= this.#limit ? this.#next() : undefined;
    if (next) return next();
    this.#running--;
    if (this.idle) this.#onIdle?.();
  }

  #next(): (() => void) | undefined {
    while (this.#waiting.size > 0) {
      const start = this.#waiting.pop()?.start;
      // Jobs without `start` have begun at their latest start.
      if (start) return start;
    }
    return undefined;
  }
}

/** One limiter for each key, so that jobs of one key take no places from jobs of another. */
export class KeyedLimiter {
  readonly #limit: number;
  readonly #limiters = new Map<string, Limiter>();

  /** @param limit jobs of one key that run at a time */
  constructor(limit: number) {
    this.#limit = limit;
  }

  run<T>(key: string, job: () => Promise<T>): Promise<T> {
    let limiter = this.#limiters.get(key);
    if (!limiter) {
      limiter = new Limiter(this.#limit, undefined, () => this.#limiters.delete(key));
      this.#limiters.set(key, limiter);
    }
    return limiter.run(job);
  }
}
