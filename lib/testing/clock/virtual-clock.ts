import { setImmediate, setTimeout } from 'node:timers';
import type { Clock } from '../../clock/clock.js';
import { TimeHeap } from '../../clock/time-heap.js';

interface Timer {
  at: number;
  callback: (() => void) | undefined;
}

/** Node's own limits: a longer delay fires after 1 ms, and fractions are cut off. */
const LONGEST_DELAY = 2 ** 31 - 1;
const HOUR = 3_600_000;
/** How often {@link VirtualClock.until} waits a real millisecond for work that no timer will bring to its end. */
const REAL_PATIENCE = 4_000;

/** Taken when this file is loaded: fake timers of jest and vitest stand still, whoever set them. */
const [realImmediate, realTimeout] = [setImmediate, setTimeout];
const turn = () => new Promise<void>((resolve) => void realImmediate(resolve));
const realMillisecond = () => new Promise<void>((resolve) => void realTimeout(resolve, 1));

/**
 * A clock that stands still until a test moves it. Give it to a `SimulatedVault`, and days pass in
 * milliseconds, always in the same way.
 *
 * All times are milliseconds. Its timers behave like Node's: a delay above 2^31-1 fires after 1 ms, one below 1 is 1,
 * fractions are cut off. It governs what takes its time from it: this package and the simulated server, not
 * `setTimeout` or `Date` in other code. Fake timers of jest and vitest may be in use at the same time: each moves its own.
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
  #moving = false;

  /** @param options.wall the wall clock at the start (default: now, to the second: what real databases go by) */
  constructor(options: { wall?: number | Date } = {}) {
    this.#wall = Number(options.wall ?? Math.floor(Date.now() / 1_000) * 1_000);
  }

  /** Milliseconds since the start that the machine was awake; stands still in {@link suspend}. */
  monotonic(): number {
    return this.#monotonic;
  }

  /** Milliseconds since 1970, as this machine believes; {@link stepWall} sets it apart. */
  wall(): number {
    return this.#wall;
  }

  /** Milliseconds since the start as the rest of the world counts them: the time of a server elsewhere. */
  get elapsed(): number {
    return this.#elapsed;
  }

  /** How many timers are set and neither fired nor cancelled. */
  get pending(): number {
    return this.#pending;
  }

  /** Calls back once, when {@link advance} passes `delay` milliseconds from now. Returns what cancels it. */
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
   * Lets time pass: fires the timers that fall due, in their order, each at its own time, and lets everything that
   * follows from one (promises, requests to a simulated server in the same process, reads of files) come to rest
   * before the next. Rejects with what a timer throws.
   *
   * @param milliseconds 0 fires what is overdue and lets all come to rest
   */
  async advance(milliseconds: number): Promise<void> {
    if (this.#moving) throw new Error('The VirtualClock is moving already: await what moves it first.');
    this.#moving = true;
    try {
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
    } finally {
      this.#moving = false;
    }
  }

  /**
   * Jumps from timer to timer until a promise settles, and returns what it brings: for what waits on this clock, as
   * `clock.until(app.close())`.
   *
   * @param limit virtual milliseconds after which it gives up and rejects (default: one hour)
   */
  async until<T>(promise: Promise<T>, limit = HOUR): Promise<T> {
    const end = this.#monotonic + limit;
    let settled = false;
    const done = () => {
      settled = true;
    };
    promise.then(done, done);
    let patience = REAL_PATIENCE;
    for (await this.advance(0); !settled;) {
      const next = this.#nextAt();
      if (next <= end) await this.advance(Math.max(0, next - this.#monotonic));
      else if (next < Infinity || patience-- === 0) {
        throw new Error(`Not settled ${limit} ms later: ${this.#pending} timers are pending.`);
      } else await realMillisecond();
    }
    return promise;
  }

  /** Lets promises and reads of files come to rest, without any time passing. */
  async settle(): Promise<void> {
    await turn();
    while (this.#holds.size > 0 || readsFiles()) {
      await Promise.allSettled(this.#holds);
      await turn();
    }
  }

  /** Time does not move on before this promise has settled: for real work that takes no virtual time. */
  hold(work: Promise<unknown>): void {
    this.#holds.add(work);
    const done = () => this.#holds.delete(work);
    work.then(done, done);
  }

  /** Sets the wall clock forwards or backwards, as NTP or an operator does; nothing else moves. */
  stepWall(milliseconds: number): void {
    this.#wall += milliseconds;
  }

  /**
   * The machine sleeps: the wall clock and the world move on, the monotonic clock stands still, and timers are late
   * by as much (Linux). Afterwards what is due runs.
   */
  async suspend(milliseconds: number): Promise<void> {
    this.#wall += milliseconds;
    this.#elapsed += milliseconds;
    await this.advance(0);
  }

  /**
   * The process stands still (SIGSTOP, a blocked event loop): all clocks move on, no timer fires meanwhile, and what is
   * overdue runs at the end, late.
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

/** Secrets come from files too, and a read takes no virtual time. */
function readsFiles(): boolean {
  return process.getActiveResourcesInfo().some((name) => name.startsWith('FSReq') || name === 'CloseReq');
}
