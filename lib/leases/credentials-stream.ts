import { distinctUntilChanged, Observable, Subject } from 'rxjs';
import type { Clock } from '../clock/clock.js';
import type { VaultError } from '../errors/vault-error.js';
import type { Credentials, Lease } from './lease.js';

/** The lease in use, and its snapshots for consumers as long as it is valid. */
export class CredentialsStream<T> {
  readonly #published = new Subject<Credentials<T>>();
  readonly #clock: Clock;
  readonly #onExpired: () => void;
  #lease: Lease<T> | undefined;

  /** @param onExpired called where a caller asks for the current snapshot, and the lease has expired */
  constructor(clock: Clock, onExpired: () => void) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  /** The lease in use, also an expired one. */
  get lease(): Lease<T> | undefined {
    return this.#lease;
  }

  /** Puts a lease into use, without publishing it. */
  use(lease: Lease<T>): void {
    this.#lease = lease;
  }

  /** The current snapshot on subscription, and each one that differs from the one before. */
  get stream$(): Observable<Credentials<T>> {
    return new Observable<Credentials<T>>((subscriber) => {
      const current = this.current();
      if (current) subscriber.next(current);
      return this.#published.subscribe(subscriber);
    }).pipe(distinctUntilChanged((one, next) => one.data === next.data));
  }

  current(): Credentials<T> | undefined {
    if (this.#lease === undefined) return undefined;
    if (this.#lease.left(this.#clock) > 0) return this.#lease.snapshot();
    this.#onExpired();
    return undefined;
  }

  publish(lease: Lease<T>): void {
    this.#published.next(lease.snapshot());
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
