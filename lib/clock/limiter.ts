import type { Scheduler } from './scheduler.js';
import { TimeHeap } from './time-heap.js';

interface Waiting {
  start: (() => void) | undefined;
}

/**
 * Lets at most `limit` jobs run at a time. Of those that wait, the one that has to begin first is next; one whose
 * time has come begins even where there is no place: the limit bounds the load, and is not worth a lost credential.
 */
export class Limiter {
  readonly #limit: number;
  readonly #scheduler: Pick<Scheduler, 'at'> | undefined;
  readonly #waiting = new TimeHeap<Waiting>();
  #running = 0;

  /** @param scheduler starts jobs at their latest time; without it, they wait for a place */
  constructor(limit: number, scheduler?: Pick<Scheduler, 'at'>) {
    this.#limit = limit;
    this.#scheduler = scheduler;
  }

  /** Nothing runs, and nothing waits. */
  get idle(): boolean {
    return this.#running === 0;
  }

  /** @param latest monotonic time at which the job begins, place or not */
  async run<T>(job: () => Promise<T>, latest = Infinity): Promise<T> {
    const turn = this.enter(latest);
    if (turn) await turn;
    try {
      return await job();
    } finally {
      this.leave();
    }
  }

  /** Takes a place; {@link leave} has to follow. Returns nothing where there is one at once. */
  enter(latest = Infinity): Promise<void> | undefined {
    if (this.#running < this.#limit) {
      this.#running++;
      return undefined;
    }
    return new Promise((resolve) => {
      const waiting: Waiting = { start: resolve };
      this.#waiting.push(latest, waiting);
      if (latest === Infinity) return;
      const task = this.#scheduler?.at(latest, () => {
        if (!waiting.start) return;
        this.#running++;
        waiting.start();
      });
      waiting.start = () => {
        waiting.start = undefined;
        task?.cancel();
        resolve();
      };
    });
  }

  /** Gives a place back. */
  leave(): void {
    // The place is handed on, not given up, so that no newcomer slips in between.
    const next = this.#running <= this.#limit ? this.#next() : undefined;
    if (next) next();
    else this.#running--;
  }

  #next(): (() => void) | undefined {
    while (this.#waiting.size > 0) {
      const start = this.#waiting.pop()?.start;
      // The others have begun at their latest time.
      if (start) return start;
    }
    return undefined;
  }
}

/** One limiter for each key, so that jobs of one key take no place from those of another. */
export class KeyedLimiter {
  readonly #limit: number;
  readonly #limiters = new Map<string, Limiter>();

  /** @param limit jobs of one key that run at a time */
  constructor(limit: number) {
    this.#limit = limit;
  }

  async run<T>(key: string, job: () => Promise<T>): Promise<T> {
    let limiter = this.#limiters.get(key);
    if (!limiter) this.#limiters.set(key, (limiter = new Limiter(this.#limit)));
    try {
      return await limiter.run(job);
    } finally {
      if (limiter.idle) this.#limiters.delete(key);
    }
  }
}
