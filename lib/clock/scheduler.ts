import { runIsolated } from './run-isolated.js';
import { background } from './background.js';
import type { Clock } from './clock.js';

/** Something to do at a monotonic time. */
export interface Task {
  cancel(): void;
}

/** One object for each of thousands, instead of one and a closure. */
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
 * The longest sleep in one piece. It keeps timers below the 2^31-1 ms at which Node fires at once, and bounds how
 * late a suspended machine or a stepped clock is noticed.
 */
const MAX_SLEEP = 30_000;
/** A difference between the clocks below this is their ordinary drift. */
const JUMP = 1_000;
/** Cancelled tasks are cleared away when there are more than so many, and more than of the others. */
const MANY_CANCELLED = 64;

/**
 * All that is to happen later, on one pending timer. Where the wall clock jumped against the monotonic one (sleep,
 * NTP), every task is run at once: tasks look at their deadlines again when they wake, and sleep on if it is early.
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

  /** Runs `run` once at a monotonic time, at the earliest on the next turn. */
  at(at: number, run: () => void): Task {
    const entry = new Entry(at, run, this.#clear);
    if (at < Infinity && !this.#closed) {
      this.#push(entry);
      this.#arm();
    }
    return entry;
  }

  /** Nothing is run any more, also of what comes later. */
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
    // Whatever asks first for something later: a timer keeps the context that it is set in, and runs in it.
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
      // From here on there is nothing to cancel.
      entry.run = undefined;
      if (run) runIsolated(run);
    }
    this.#arm();
  }

  /** A task that is far away would stay for long: an outage of days has each lease cancel thousands. */
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
