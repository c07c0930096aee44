import { isTransient, isUnanswered, type VaultError } from '../errors/vault-error.js';
import { backoff, staggered, NO_HASTE, type Haste } from '../clock/backoff.js';
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

  /** The last one got no answer of a working server. */
  get away(): boolean {
    return this.error !== undefined && isUnanswered(this.error);
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

  /** It works again, and nobody knows for how long: what fails next waits as if there had been no success. */
  calm(): void {
    this.count = 0;
    this.error = undefined;
    this.retryAt = -Infinity;
  }

  /** @returns when the next try is due */
  fail(error: VaultError, haste: Haste = NO_HASTE): Date {
    this.error = error;
    // What waiting cannot help is not asked for as often as what would do.
    return this.again(isTransient(error) ? haste : { ...haste, ttl: Infinity }, error.retryAfter);
  }

  /** Another try is due, though nothing failed. */
  again(haste: Haste, retryAfter = 0): Date {
    const { left } = haste;
    // From the end on every moment counts again, so the delays start from the beginning, once.
    if (this.#alive && left <= 0) this.#doublings = 0;
    this.#alive = left > 0;
    this.count++;
    const own = backoff(++this.#doublings, this.#retry, haste, this.#random);
    // However long the server asks to wait, one more try comes before the end.
    const spread = staggered(retryAfter, this.#retry.jitter, this.#random);
    const asked = left > 0 ? Math.min(spread, left / 2) : spread;
    const delay = Math.max(asked, own);
    this.retryAt = this.#clock.monotonic() + delay;
    return new Date(this.#clock.wall() + delay);
  }
}
