import type { Clock } from '../../lib/clock/clock.js';

interface Timer {
  at: number;
  delay: number;
  callback: () => void;
}

/** A clock that stands still until {@link advance}; its wall time can be set apart from its monotonic one. */
export class HandClock implements Clock {
  readonly timers = new Set<Timer>();
  /** The delay of every timer that was ever set. */
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

  /** Lets time pass, and runs what falls due on the way, in order. */
  advance(milliseconds: number): void {
    const end = this.#monotonic + milliseconds;
    for (;;) {
      const [next] = [...this.timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.timers.delete(next);
      this.#pass(Math.max(next.at - this.#monotonic, 0));
      next.callback();
    }
    this.#pass(end - this.#monotonic);
  }

  /** As NTP does, or a machine that slept: the wall clock alone moves. */
  stepWall(milliseconds: number): void {
    this.#wall += milliseconds;
  }

  #pass(milliseconds: number): void {
    this.#monotonic += milliseconds;
    this.#wall += milliseconds;
  }
}
