import type { VaultError } from '../errors/vault-error.js';
import { backoff } from '../clock/backoff.js';
import type { Clock } from '../clock/clock.js';

/** The failed tries in a row of something that is tried until it works, and when the next one is due. */
export class Tries {
  /** How many failed since the last success. */
  count = 0;
  /** Why the last one failed. */
  error: VaultError | undefined;
  /** Monotonic time before which not to try again. */
  retryAt = -Infinity;
  readonly #clock: Clock;
  readonly #retry: { initialDelay: number; maxDelay: number; jitter: number };
  readonly #random: () => number;
  #doublings = 0;
  #alive = true;

  constructor(context: {
    clock: Clock;
    options: { retry: { initialDelay: number; maxDelay: number; jitter: number } };
    random: () => number;
  }) {
    this.#clock = context.clock;
    this.#retry = context.options.retry;
    this.#random = context.random;
  }

  get waiting(): boolean {
    return this.#clock.monotonic() < this.retryAt;
  }

  /** For a status: what comes next, and when; after a failure that is the next try. */
  next<A extends string>(step: { action: A; in: number; reason: string }) {
    const due = this.error ? this.retryAt - this.#clock.monotonic() : step.in;
    return {
      action: step.action,
      ...(due < Infinity && { at: new Date(this.#clock.wall() + Math.max(0, due)) }),
      reason: this.error ? 'retry' : step.reason,
    };
  }

  succeed(): void {
    this.count = 0;
    this.error = undefined;
    this.retryAt = -Infinity;
    this.#doublings = 0;
    this.#alive = true;
  }

  /**
   * @param left milliseconds of life of what is to be renewed; 0 where it is over
   * @returns when the next try is due
   */
  fail(error: VaultError, left: number): Date {
    this.error = error;
    return this.again(left, error.retryAfter);
  }

  /** Another try is due, though nothing failed. */
  again(left: number, retryAfter?: number): Date {
    // From the end on every moment counts again, so the delays start from the beginning, once.
    if (this.#alive && left <= 0) this.#doublings = 0;
    this.#alive = left > 0;
    this.count++;
    const own = backoff(++this.#doublings, this.#retry, left, this.#random);
    // However long the server asks to wait, one more try comes before the end.
    const delay =
      retryAfter === undefined ? own : left > 0 ? Math.max(Math.min(retryAfter, left / 2), own) : retryAfter;
    this.retryAt = this.#clock.monotonic() + delay;
    return new Date(this.#clock.wall() + delay);
  }
}
