import { distinctUntilChanged, Observable, Subject } from 'rxjs';
import type { Clock } from '../clock/clock.js';
import type { VaultError } from '../errors/vault-error.js';
import type { Credentials, Lease } from './lease.js';
import type { LeaseEvents } from './lease-events.js';

/** The lease in use, and what is handed out of it: snapshots, as long as it lives. */
export class CredentialsStream<T> {
  readonly #published = new Subject<Credentials<T>>();
  readonly #clock: Clock;
  readonly #events: LeaseEvents;
  readonly #onEnd: () => void;
  #lease: Lease<T> | undefined;
  #endTold = false;

  /** @param onEnd called where somebody asks, and finds it over before that was told */
  constructor(clock: Clock, events: LeaseEvents, onEnd: () => void) {
    this.#clock = clock;
    this.#events = events;
    this.#onEnd = onEnd;
  }

  /** The current snapshot on subscription, and each one that differs from the one before. */
  get stream$(): Observable<Credentials<T>> {
    return new Observable<Credentials<T>>((subscriber) => {
      const current = this.current();
      if (current) subscriber.next(current);
      return this.#published.subscribe(subscriber);
    }).pipe(distinctUntilChanged((one, next) => one.data === next.data));
  }

  /** Also where it is over. */
  get lease(): Lease<T> | undefined {
    return this.#lease;
  }

  current(): Credentials<T> | undefined {
    const lease = this.#lease;
    if (lease === undefined) return undefined;
    if (lease.left(this.#clock) > 0) return lease.snapshot();
    // After a sleep or a step of the clock, whoever asks notices before the scheduler does.
    if (!this.#endTold) queueMicrotask(this.#onEnd);
    return undefined;
  }

  /** Milliseconds until its end has to be told. */
  get untilEnd(): number {
    return this.#lease && !this.#endTold ? Math.max(0, this.#lease.left(this.#clock)) : Infinity;
  }

  /**
   * Another lease takes over; {@link publish} tells, where it holds something else.
   *
   * @returns whether the end of the one before was told
   */
  replace(lease: Lease<T>): boolean {
    const told = this.#endTold;
    this.#lease = lease;
    this.#endTold = false;
    return told;
  }

  publish(lease: Lease<T>): void {
    this.#published.next(lease.snapshot());
  }

  /**
   * Tells that it is over, and where that turns out to be wrong, those who came meanwhile.
   *
   * @returns whether there was something to tell
   */
  publishExpiry(error: VaultError | undefined): boolean {
    const lease = this.#lease;
    const over = lease !== undefined && lease.left(this.#clock) <= 0;
    if (lease === undefined || over === this.#endTold) return false;
    this.#endTold = over;
    if (over) this.#events.expired(lease, error);
    else this.publish(lease);
    return true;
  }

  /** Nothing is handed out any more. */
  end(): Lease<T> | undefined {
    this.#published.complete();
    const lease = this.#lease;
    this.#lease = undefined;
    return lease;
  }

  fail(error: VaultError): void {
    this.#published.error(error);
  }
}
