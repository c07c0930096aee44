import type { Clock } from '../../lib/clock/clock.js';

interface Timer {
  at: number;
  delay: number;
  callback: () => void;
}

/** A clock that stands still until {@link advance}; its wall time can be set independently of its monotonic time. */
export class HandClock implements Clock {
  readonly timers = new Set<Timer>();
  /** The delays of all timers set so far. */
  readonly delays: number[] = [];
  #monotonic = 5_000;
  #wall = Date.UTC(2026, 0, 1);

  monotonic = () => this.#monotonic;
  wall = () => this.#wall;

  setTimer(delay: number, callback: () => void): () => void {
    const timer = { at: this.#monotonic + delay, delay, callback };
    this.delays.push(delay);
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  /** Advances the time, and runs due timers in order. */
  advance(milliseconds: number): void {
    const end = this.#monotonic + milliseconds;
    for (;;) {
      const [next] = [...this.timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.timers.delete(next);
      this.#pass(Math.max(next.at - this.#monotonic, 0));
      next.callback();
    }
    this.#pass(Math.max(end - this.#monotonic, 0));
  }

  /** Time passes while something works: no timer fires. */
  work(milliseconds: number): void {
    this.#pass(milliseconds);
  }

  /** Moves the wall clock only, as NTP or a suspended machine does. */
  stepWall(milliseconds: number): void {
    this.#wall += milliseconds;
  }

  #pass(milliseconds: number): void {
    this.#monotonic += milliseconds;
    this.#wall += milliseconds;
  }
}
