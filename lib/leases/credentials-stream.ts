import { distinctUntilChanged, Observable, Subject } from 'rxjs';
import type { Clock } from '../clock/clock.js';
import type { VaultError } from '../errors/vault-error.js';
import type { Credentials, Lease } from './lease.js';
import type { LeaseEvents } from './lease-events.js';

/** Publishes the current lease of a path: its snapshots, as long as the lease is valid. */
export class CredentialsStream<T> {
  readonly #published = new Subject<Credentials<T>>();
  readonly #clock: Clock;
  readonly #events: LeaseEvents;
  readonly #onEnd: () => void;
  #lease: Lease<T> | undefined;
  #expiryPublished = false;

  /** @param onEnd called if a caller finds the lease expired before the expiry was published */
  constructor(clock: Clock, events: LeaseEvents, onEnd: () => void) {
    this.#clock = clock;
    this.#events = events;
    this.#onEnd = onEnd;
  }

  /** The current snapshot on subscription, and each later snapshot with different data. */
  get stream$(): Observable<Credentials<T>> {
    return new Observable<Credentials<T>>((subscriber) => {
      const current = this.current();
      if (current) subscriber.next(current);
      return this.#published.subscribe(subscriber);
    }).pipe(distinctUntilChanged((one, next) => one.data === next.data));
  }

  /** The last lease, even if it has expired. */
  get lease(): Lease<T> | undefined {
    return this.#lease;
  }

  current(): Credentials<T> | undefined {
    const lease = this.#lease;
    if (lease === undefined) return undefined;
    if (lease.left(this.#clock) > 0) return lease.snapshot();
    // After a sleep or a step of the clock, a caller may find the expiry before the scheduler does.
    if (!this.#expiryPublished) queueMicrotask(this.#onEnd);
    return undefined;
  }

  /** Milliseconds until the expiry has to be published; Infinity if there is no lease, or it was published. */
  get untilEnd(): number {
    return this.#lease && !this.#expiryPublished ? Math.max(0, this.#lease.left(this.#clock)) : Infinity;
  }

  /**
   * Sets the current lease. The caller calls {@link publish} if its data differs.
   *
   * @returns whether the expiry of the previous lease was published
   */
  replace(lease: Lease<T>): boolean {
    const wasPublished = this.#expiryPublished;
    this.#lease = lease;
    this.#expiryPublished = false;
    return wasPublished;
  }

  publish(lease: Lease<T>): void {
    this.#published.next(lease.snapshot());
  }

  /**
   * Publishes the expiry of the lease. If the lease proves valid later, its snapshot is published again.
   *
   * @returns whether an event or a snapshot was published
   */
  publishExpiry(error: VaultError | undefined): boolean {
    const lease = this.#lease;
    const expired = lease !== undefined && lease.left(this.#clock) <= 0;
    if (lease === undefined || expired === this.#expiryPublished) return false;
    this.#expiryPublished = expired;
    if (expired) this.#events.expired(lease, error);
    else this.publish(lease);
    return true;
  }

  /** Completes the stream. */
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
