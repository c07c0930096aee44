import { setImmediate, setTimeout } from 'node:timers';
import type { Clock } from '../../clock/clock.js';
import { TimeHeap } from '../../clock/time-heap.js';

interface Timer {
  at: number;
  callback: (() => void) | undefined;
}

/** Longest delay of Node's timers; a longer one fires after 1 ms. */
const LONGEST_DELAY = 2 ** 31 - 1;
const HOUR = 3_600_000;
/** Real milliseconds that {@link VirtualClock.until} waits for work while no timer is pending. */
const REAL_WAIT = 4_000;

/** Node's own timers, also while fake timers of jest or vitest replace the globals. */
const [realImmediate, realTimeout] = [setImmediate, setTimeout];
const turn = () => new Promise<void>((resolve) => void realImmediate(resolve));
const realMillisecond = () => new Promise<void>((resolve) => void realTimeout(resolve, 1));
const realLimit = (milliseconds: number) =>
  new Promise<void>((resolve) => void realTimeout(resolve, milliseconds).unref());

/**
 * A clock that only the test moves. With it, a `SimulatedVault` and this package pass days in milliseconds, and every
 * run is the same.
 *
 * All times are milliseconds. Its timers behave like Node's: a delay above 2^31-1 fires after 1 ms, a delay below 1 is 1,
 * fractions are cut off. It does not affect `setTimeout` or `Date` in other code. Fake timers of jest and vitest may be
 * active at the same time; they do not affect this clock.
 *
 * @publicApi
 */
export class VirtualClock implements Clock {
  readonly #timers = new TimeHeap<Timer>();
  readonly #holds = new Set<Promise<unknown>>();
  #monotonic = 0;
  #elapsed = 0;
  #wall: number;
  #pending = 0;
  #moving: Promise<void> | undefined;

  /** @param options.wall wall time at the start (default: now, rounded down to a second, so that real databases agree) */
  constructor(options: { wall?: number | Date } = {}) {
    this.#wall = Number(options.wall ?? Math.floor(Date.now() / 1_000) * 1_000);
  }

  /** Monotonic time in milliseconds since the start; it stops during {@link suspend}. */
  monotonic(): number {
    return this.#monotonic;
  }

  /** Wall time of this machine in milliseconds since 1970; {@link stepWall} changes it. */
  wall(): number {
    return this.#wall;
  }

  /** True time in milliseconds since the start: the time of a remote server. */
  get elapsed(): number {
    return this.#elapsed;
  }

  /** Number of timers that neither fired nor were cancelled. */
  get pending(): number {
    return this.#pending;
  }

  /** Calls `callback` once, when {@link advance} passes `delay` milliseconds from now. Returns a function that cancels it. */
  setTimer(delay: number, callback: () => void): () => void {
    const wait = delay >= 1 && delay <= LONGEST_DELAY ? Math.trunc(delay) : 1;
    const timer: Timer = { at: this.#monotonic + wait, callback };
    this.#timers.push(timer.at, timer);
    this.#pending++;
    return () => {
      if (timer.callback) this.#pending--;
      timer.callback = undefined;
    };
  }

  /**
   * Moves time on: fires due timers in order, each at its own time. After each timer, waits for the work it started
   * (promises, requests to a simulated server in the same process, reads of files). Rejects with the error of a timer.
   *
   * @param milliseconds 0 fires overdue timers and waits for their work
   */
  async advance(milliseconds: number): Promise<void> {
    if (this.#moving) throw new Error('The VirtualClock is already moving: await the earlier call first.');
    this.#moving = this.#move(milliseconds);
    try {
      await this.#moving;
    } finally {
      this.#moving = undefined;
    }
  }

  async #move(milliseconds: number): Promise<void> {
    await this.settle();
    const end = this.#monotonic + milliseconds;
    while (this.#nextAt() <= end) {
      const timer = this.#timers.pop() as Timer;
      this.#pass(Math.max(0, timer.at - this.#monotonic));
      const { callback } = timer;
      timer.callback = undefined;
      this.#pending--;
      callback?.();
      await this.settle();
    }
    this.#pass(Math.max(0, end - this.#monotonic));
  }

  /**
   * Advances from timer to timer until a promise settles, and returns its result: `clock.until(app.close())`. A move of
   * another caller comes first, as that of a test that has timed out.
   *
   * @param limit virtual milliseconds after which it rejects (default: one hour)
   */
  async until<T>(promise: Promise<T>, limit = HOUR): Promise<T> {
    const end = this.#monotonic + limit;
    let settled = false;
    const done = () => {
      settled = true;
    };
    promise.then(done, done);
    let realWait = REAL_WAIT;
    for (let first = true; ; first = false) {
      while (this.#moving) await this.#moving.catch(() => undefined);
      if (settled) break;
      const next = first ? this.#monotonic : this.#nextAt();
      if (next <= end) await this.advance(Math.max(0, next - this.#monotonic));
      else if (next < Infinity || realWait-- === 0) {
        throw new Error(`Not settled ${limit} ms later: ${this.#pending} timers are pending.`);
      } else await realMillisecond();
    }
    return promise;
  }

  /** Waits for promises and reads of files; no time passes. */
  async settle(): Promise<void> {
    await turn();
    while (this.#holds.size > 0 || readsFiles()) {
      await Promise.allSettled(this.#holds);
      await turn();
    }
  }

  /**
   * Stops the clock until a promise settles, for real work that takes no virtual time. The pools of this package do that
   * for their logins.
   *
   * @param limit real milliseconds after which the clock moves on
   */
  hold(work: Promise<unknown>, limit = Infinity): void {
    const limited = limit < Infinity ? Promise.race([work, realLimit(limit)]) : work;
    this.#holds.add(limited);
    const done = () => this.#holds.delete(limited);
    limited.then(done, done);
  }

  /** Steps the wall clock alone, forwards or backwards, as NTP or an operator does. */
  stepWall(milliseconds: number): void {
    this.#wall += milliseconds;
  }

  /**
   * Suspends the machine: wall time and true time pass, the monotonic clock stops, and timers fire late by this time
   * (Linux). Then fires due timers.
   */
  async suspend(milliseconds: number): Promise<void> {
    this.#wall += milliseconds;
    this.#elapsed += milliseconds;
    await this.advance(0);
  }

  /**
   * Stops the process (SIGSTOP, a blocked event loop): all clocks move on, no timer fires, and overdue timers fire at
   * the end.
   */
  async stall(milliseconds: number): Promise<void> {
    this.#pass(milliseconds);
    await this.advance(0);
  }

  #nextAt(): number {
    while (this.#timers.first && !this.#timers.first.callback) this.#timers.pop();
    return this.#timers.at;
  }

  #pass(milliseconds: number): void {
    this.#monotonic += milliseconds;
    this.#wall += milliseconds;
    this.#elapsed += milliseconds;
  }
}

/** Whether reads of files are pending: secrets may come from files, and a read takes no virtual time. */
function readsFiles(): boolean {
  return process.getActiveResourcesInfo().some((name) => name.startsWith('FSReq') || name === 'CloseReq');
}
