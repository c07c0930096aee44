import { runIsolated } from './run-isolated.js';
import { background } from './background.js';
import type { Clock } from './clock.js';
import { Heap } from './heap.js';

/** The work of a task: an object that there is anyway, because there may be ten thousand tasks. */
export interface Job {
  run(): void;
}

/** A job that waits for its monotonic time, or for its turn. */
export interface Task {
  readonly at: number;
  cancel(): void;
}

class Entry implements Task {
  readonly at: number;
  job: Job | undefined;
  readonly #onCancel: () => void;

  constructor(at: number, job: Job, onCancel: () => void) {
    this.at = at;
    this.job = job;
    this.#onCancel = onCancel;
  }

  cancel(): void {
    if (!this.job) return;
    this.job = undefined;
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
 * Milliseconds of work before the event loop gets a turn for other work. Ten thousand jobs that fall due at once (after
 * a sleep, with a lost token, at the end) would otherwise block the application for as long as they take together.
 */
const BUDGET = 5;

/** Tasks with the same time run in any order: a record of their order would cost memory for each of ten thousand. */
const isEarlier = (one: Entry, other: Entry): boolean => one.at < other.at;

/** The time of a timer for the next turn of the event loop. */
const NEXT_TURN = -Infinity;

/**
 * All delayed work of a connection, on one pending timer. If the wall clock jumps against the monotonic clock (sleep,
 * NTP), every task runs: each task checks its deadline again and waits on if it is early. Jobs that are due at the same
 * time are spread over turns of the event loop, those with the earliest time first.
 */
export class Scheduler {
  readonly #clock: Clock;
  /** Tasks that wait for their time. */
  readonly #later = new Heap<Entry>(isEarlier);
  /** Tasks that wait for a turn of the event loop. */
  readonly #due = new Heap<Entry>(isEarlier);
  #cancelled = 0;
  #closed = false;
  /** Milliseconds of work since the last turn. */
  #spent = 0;
  #cancelTimer: (() => void) | undefined;
  #timerAt = Infinity;
  #offset: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offset = clock.wall() - clock.monotonic();
  }

  /** Runs a job once at a monotonic time, at the earliest on the next turn of the event loop. */
  at(at: number, job: Job): Task {
    const entry = new Entry(at, job, this.#clear);
    if (at < Infinity && !this.#closed) {
      this.#later.push(entry);
      this.#arm();
    }
    return entry;
  }

  /**
   * Runs a job now if this turn of the event loop has time left for it. Otherwise returns a task that runs on one of the
   * next turns.
   *
   * @param at how urgent it is: jobs with an earlier time run first
   */
  soon(at: number, job: Job): Task | undefined {
    if (this.#closed || (this.#due.size === 0 && this.#spent < BUDGET)) {
      this.#run(job);
      return undefined;
    }
    const entry = new Entry(at, job, this.#clear);
    this.#due.push(entry);
    this.#arm();
    return entry;
  }

  /** Runs the jobs that wait for their turn, and drops all others, and all later tasks. */
  close(): void {
    this.#closed = true;
    this.#later.keep(() => false);
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#timerAt = Infinity;
    for (let entry; (entry = this.#due.pop());) this.#start(entry);
  }

  #arm(): void {
    if (this.#due.size > 0 || this.#spent >= BUDGET) return this.#wakeAt(NEXT_TURN);
    const first = this.#later.first?.at;
    if (first === undefined) return;
    const current = this.#clock.monotonic();
    this.#wakeAt(Math.min(Math.max(first, current), current + MAX_SLEEP));
  }

  /** Sets the timer, unless it is set for this time or an earlier one. */
  #wakeAt(at: number): void {
    if (this.#cancelTimer && this.#timerAt <= at) return;
    this.#cancelTimer?.();
    this.#timerAt = at;
    const clock = this.#clock;
    const wake = () => this.#wake();
    // A timer keeps the async context in which it is set. That must not be the context of one caller.
    this.#cancelTimer = background(() =>
      at === NEXT_TURN && clock.nextTurn
        ? clock.nextTurn(wake)
        : clock.setTimer(Math.max(0, Math.ceil(at - clock.monotonic())), wake),
    );
  }

  #wake(): void {
    this.#cancelTimer = undefined;
    this.#timerAt = Infinity;
    this.#spent = 0;
    const current = this.#clock.monotonic();
    const offset = this.#clock.wall() - current;
    const jumped = Math.abs(offset - this.#offset) > JUMP;
    this.#offset = offset;
    for (let first; (first = this.#later.first) && (jumped || !first.job || first.at <= current);) {
      this.#later.pop();
      if (first.job) this.#due.push(first);
      else if (this.#cancelled > 0) this.#cancelled--;
    }
    while (this.#spent < BUDGET) {
      const entry = this.#due.pop();
      if (!entry) break;
      this.#start(entry);
    }
    this.#arm();
  }

  #start(entry: Entry): void {
    const { job } = entry;
    // The task can no longer be cancelled.
    entry.job = undefined;
    if (job) this.#run(job);
  }

  #run(job: Job): void {
    const began = this.#clock.monotonic();
    background(() => runIsolated(() => job.run()));
    this.#spent += this.#clock.monotonic() - began;
    if (this.#spent >= BUDGET && !this.#closed) this.#arm();
  }

  /** A cancelled task would stay in the heap until its time. In an outage of days each lease cancels thousands. */
  readonly #clear = (): void => {
    if (++this.#cancelled <= Math.max(MANY_CANCELLED, this.#later.size / 2)) return;
    this.#later.keep(({ job }) => job !== undefined);
    this.#cancelled = 0;
  };
}
