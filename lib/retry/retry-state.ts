import { isTransient, gotNoResponse, type VaultError } from '../errors/vault-error.js';
import { backoff, staggered, NO_DEADLINE, type RetryDeadline } from './backoff.js';
import type { Clock, Times } from '../clock/clock.js';

/** Counts consecutive failed attempts, and schedules the next one. */
export class RetryState {
  /** Number of failures since the last success. */
  count = 0;
  /** The error of the last attempt. */
  error: VaultError | undefined;
  /** Monotonic time of the earliest next attempt. */
  retryAt = -Infinity;
  readonly #clock: Clock;
  readonly #retry: { initialDelay: number; maxDelay: number; jitter: number };
  readonly #random: () => number;
  #doublings = 0;
  #beforeDeadline = true;

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
    return this.remaining > 0;
  }

  /** Milliseconds until the next attempt. */
  get remaining(): number {
    return this.retryAt - this.#clock.monotonic();
  }

  /** Whether no working server answered the last attempt. */
  get gotNoResponse(): boolean {
    return this.error !== undefined && gotNoResponse(this.error);
  }

  /** The next step for a status; after a failure it is the next attempt. */
  next<A extends string>(
    step: { readonly action: A; readonly in: number; readonly reason: string },
    clock: Times = this.#clock,
  ): { action: A; at?: Date; reason: string } {
    const { action } = step;
    const left = this.error ? this.retryAt - clock.monotonic() : step.in;
    const reason = this.error ? 'retry' : step.reason;
    if (!(left < Infinity)) return { action, reason };
    return { action, at: new Date(clock.wall() + Math.max(0, left)), reason };
  }

  succeed(): void {
    this.count = 0;
    this.error = undefined;
    this.retryAt = -Infinity;
    this.#doublings = 0;
    this.#beforeDeadline = true;
  }

  /** Clears the error, but keeps the delays: a success that may not last does not reset them. */
  clearError(): void {
    this.count = 0;
    this.error = undefined;
    this.retryAt = -Infinity;
  }

  /** @returns the time of the next attempt */
  fail(error: VaultError, deadline: RetryDeadline = NO_DEADLINE): Date {
    this.error = error;
    // A permanent failure is retried less often than a transient one.
    return this.scheduleNext(
      isTransient(error) ? deadline : { ...deadline, ttl: Infinity },
      error.retryAfter,
    );
  }

  /** Schedules another attempt without a failure. */
  scheduleNext(deadline: RetryDeadline, retryAfter = 0): Date {
    const { left } = deadline;
    // When the deadline has passed, the delays start again from the shortest, once.
    if (this.#beforeDeadline && left <= 0) this.#doublings = 0;
    this.#beforeDeadline = left > 0;
    this.count++;
    const own = backoff(++this.#doublings, this.#retry, deadline, this.#random);
    // One more attempt comes before the deadline, for any Retry-After.
    const spread = staggered(retryAfter, this.#retry.jitter, this.#random);
    const asked = left > 0 ? Math.min(spread, left / 2) : spread;
    const delay = Math.max(asked, own);
    this.retryAt = this.#clock.monotonic() + delay;
    return new Date(this.#clock.wall() + delay);
  }
}
