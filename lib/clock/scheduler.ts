import { runIsolated } from './run-isolated.js';
import { background } from './background.js';
import type { Clock } from './clock.js';

/** A callback that runs at a monotonic time. */
export interface Task {
  cancel(): void;
}

/** One object for each of thousands of tasks, instead of an object and a closure. */
class Entry implements Task {
  readonly at: number;
  run: (() => void) | undefined;
  readonly #onCancel: () => void;

  constructor(at: number, run: () => void, onCancel: () => void) {
    this.at = at;
    this.run = run;
    this.#onCancel = onCancel;
  }

  cancel(): void {
    if (!this.run) return;
    this.run = undefined;
    this.#onCancel();
  }
}

/**
 * The longest timer, in milliseconds. It is below 2^31-1 ms, where Node fires at once, and bounds the time until a
 * suspended machine or a step of the clock is detected.
 */
const MAX_SLEEP = 30_000;
/** Milliseconds; a smaller difference between the clocks is their ordinary drift. */
const JUMP = 1_000;
/** Cancelled tasks are removed if there are more of them than this, and more than pending ones. */
const MANY_CANCELLED = 64;

/**
 * All delayed work of a connection, on one pending timer. If the wall clock jumps against the monotonic clock (sleep,
 * NTP), every task runs at once: each task checks its deadline again and waits on if it is early.
 */
export class Scheduler {
  readonly #clock: Clock;
  #heap: Entry[] = [];
  #cancelled = 0;
  #closed = false;
  #cancelTimer: (() => void) | undefined;
  #timerAt = Infinity;
  #offset: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offset = clock.wall() - clock.monotonic();
  }

  /** Calls `run` once at a monotonic time, at the earliest on the next turn of the event loop. */
  at(at: number, run: () => void): Task {
    const entry = new Entry(at, run, this.#clear);
    if (at < Infinity && !this.#closed) {
      this.#push(entry);
      this.#arm();
    }
    return entry;
  }

  /** Drops all tasks, and all later ones. */
  close(): void {
    this.#closed = true;
    this.#heap.length = 0;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#timerAt = Infinity;
  }

  #arm(): void {
    const first = this.#heap[0];
    if (!first) return;
    const current = this.#clock.monotonic();
    const at = Math.min(Math.max(first.at, current), current + MAX_SLEEP);
    if (this.#cancelTimer && this.#timerAt <= at) return;
    this.#cancelTimer?.();
    this.#timerAt = at;
    // A timer keeps the async context in which it is set. That must not be the context of one caller.
    const wake = () => background(() => this.#wake());
    this.#cancelTimer = background(() => this.#clock.setTimer(Math.ceil(at - current), wake));
  }

  #wake(): void {
    this.#cancelTimer = undefined;
    this.#timerAt = Infinity;
    const current = this.#clock.monotonic();
    const offset = this.#clock.wall() - current;
    const jumped = Math.abs(offset - this.#offset) > JUMP;
    this.#offset = offset;
    const due: Entry[] = [];
    while (this.#heap[0] && (jumped || !this.#heap[0].run || this.#heap[0].at <= current))
      due.push(this.#pop());
    for (const entry of due) {
      const { run } = entry;
      // The task can no longer be cancelled.
      entry.run = undefined;
      if (run) runIsolated(run);
    }
    this.#arm();
  }

  /** A cancelled task would stay in the heap until its time. In an outage of days each lease cancels thousands. */
  readonly #clear = (): void => {
    if (++this.#cancelled <= Math.max(MANY_CANCELLED, this.#heap.length / 2)) return;
    const left = this.#heap.filter(({ run }) => run);
    this.#heap = [];
    this.#cancelled = 0;
    for (const one of left) this.#push(one);
  };

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if ((heap[parent] as Entry).at <= entry.at) break;
      heap[index] = heap[parent] as Entry;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): Entry {
    const heap = this.#heap;
    const first = heap[0] as Entry;
    const last = heap.pop() as Entry;
    if (!first.run && this.#cancelled > 0) this.#cancelled--;
    if (heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as Entry).at < (heap[child] as Entry).at) child++;
      if ((heap[child] as Entry).at >= last.at) break;
      heap[index] = heap[child] as Entry;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}
