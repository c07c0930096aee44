import type { Clock } from '../../clock/clock.js';
import { TimeHeap } from '../../clock/time-heap.js';
import { VirtualClock } from '../clock/virtual-clock.js';

/** An object with an end: a token, a lease, the password of a static role. Times in milliseconds of the server. */
export interface Expirable {
  expires: number;
  /** Set when it ended early; it is skipped then. */
  ended: boolean;
  /** Time of its entry in the heap, Infinity without one. */
  queued: number;
  /** Called when `expires` has passed. */
  onExpired(expired: Expirable): void;
}

/** Heap size at which entries that have already ended are swept. */
const SWEEP = 1_000;

/** The time of a simulated server, and the objects that end at a time. */
export class ServerTime {
  readonly #clock: Clock;
  readonly #isPaused: () => boolean;
  readonly #punctual: boolean;
  readonly #start: number;
  readonly #elapsed: () => number;
  readonly #expirables = new TimeHeap<Expirable>();
  #sweepAt = SWEEP;
  /** Work on a real database that is in progress. */
  readonly #work = new Set<Promise<unknown>>();
  #cancelAlarm: (() => void) | undefined;
  #alarmAt = Infinity;
  #second = -1;
  #date = '';

  /**
   * @param options.isPaused while true, nothing expires (a sealed server)
   * @param options.punctual expires objects by a timer; otherwise at the next request, or when a test looks
   */
  constructor(clock: Clock, { isPaused, punctual }: { isPaused: () => boolean; punctual: boolean }) {
    this.#clock = clock;
    this.#isPaused = isPaused;
    this.#punctual = punctual;
    // A remote server is not affected by steps of this machine's wall clock, nor by its sleep.
    const since = clock.monotonic();
    this.#elapsed =
      clock instanceof VirtualClock ? () => clock.elapsed : () => Math.floor(clock.monotonic() - since);
    this.#start = clock.wall() - (clock instanceof VirtualClock ? clock.elapsed : 0);
  }

  /** Wall time of the server in milliseconds. */
  get now(): number {
    return this.#start + this.#elapsed();
  }

  /** A time in the format of the API. */
  date(time = this.now): string {
    return new Date(time).toISOString();
  }

  /** The present time in the format of the `Date` header. */
  get httpDate(): string {
    const second = Math.floor(this.now / 1000);
    if (second !== this.#second) [this.#second, this.#date] = [second, new Date(second * 1000).toUTCString()];
    return this.#date;
  }

  /** Schedules the end of an object. */
  expireAt(at: number, expirable: Expirable): void {
    if (at >= expirable.queued || at === Infinity) return;
    expirable.queued = at;
    this.#expirables.push(at, expirable);
    this.#sweep();
    this.#setAlarm();
  }

  /** Removes entries of objects that ended early; otherwise they would stay until their time, up to a month. */
  #sweep(): void {
    if (this.#expirables.size < this.#sweepAt) return;
    this.#expirables.keep(({ ended, queued }, at) => !ended && queued === at);
    this.#sweepAt = Math.max(SWEEP, 2 * this.#expirables.size);
  }

  /** Ends all objects that are past their time; while paused, none. */
  expire(): void {
    if (this.#isPaused()) return;
    const { now } = this;
    while (this.#expirables.at <= now) {
      const expirable = this.#expirables.pop() as Expirable;
      expirable.queued = Infinity;
      if (expirable.ended) continue;
      if (expirable.expires > now) this.expireAt(expirable.expires, expirable);
      else expirable.onExpired(expirable);
    }
    this.#setAlarm();
  }

  /** Stops a virtual clock until work on a real database is done: such work takes no virtual time. */
  hold(work: Promise<unknown>): void {
    this.#work.add(work);
    const done = () => void this.#work.delete(work);
    work.then(done, done);
    if (this.#clock instanceof VirtualClock) this.#clock.hold(work);
  }

  /** Resolves when no work on a real database is in progress, and its callers have gone on. */
  async settled(): Promise<void> {
    do {
      await Promise.allSettled(this.#work);
      await new Promise((resolve) => setImmediate(resolve));
    } while (this.#work.size > 0);
  }

  close(): void {
    this.#cancelAlarm?.();
    this.#alarmAt = -Infinity;
  }

  /** Users of a real database must be dropped on time; state in memory can wait for the next request. */
  #setAlarm(): void {
    const { at } = this.#expirables;
    if (!this.#punctual || at >= this.#alarmAt) return;
    this.#cancelAlarm?.();
    this.#alarmAt = at;
    const delay = Math.min(Math.max(at - this.now, 1), 2 ** 31 - 1);
    this.#cancelAlarm = this.#clock.setTimer(delay, () => {
      this.#alarmAt = Infinity;
      this.expire();
    });
  }
}
