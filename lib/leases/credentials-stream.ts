import { distinctUntilChanged, Observable, Subject } from 'rxjs';
import type { VaultError } from '../errors/vault-error.js';
import type { Credentials, Lease } from './lease.js';

/** A promise, and how it is settled. */
interface Deferred<V> {
  promise: Promise<V>;
  resolve: (value: V) => void;
  reject: (error: VaultError) => void;
}

/**
 * The lease in use, and its snapshots for consumers. There may be ten thousand, so the subject exists only if there was a
 * subscriber.
 */
export class CredentialsStream<T> {
  #published: Subject<Credentials<T>> | undefined;
  #next: Deferred<Credentials<T> | undefined> | undefined;
  #lease: Lease<T> | undefined;

  /** The lease in use, also an expired one. */
  get lease(): Lease<T> | undefined {
    return this.#lease;
  }

  /** Puts a lease into use, without publishing it. */
  use(lease: Lease<T>): void {
    this.#lease = lease;
  }

  /**
   * The current snapshot on subscription, and each one that differs from the one before.
   *
   * @param current the current snapshot, if it is valid
   */
  stream$(current: () => Credentials<T> | undefined): Observable<Credentials<T>> {
    return new Observable<Credentials<T>>((subscriber) => {
      const first = current();
      if (first) subscriber.next(first);
      return (this.#published ??= new Subject()).subscribe(subscriber);
    }).pipe(distinctUntilChanged((one, next) => one.data === next.data));
  }

  /** Resolves with the next snapshot that is published, or with undefined at the end; one promise for all callers. */
  next(): Promise<Credentials<T> | undefined> {
    this.#next ??= deferred();
    return this.#next.promise;
  }

  publish(lease: Lease<T>): void {
    if (!this.#next && !this.#published) return;
    const snapshot = lease.snapshot();
    this.#settle((next) => next.resolve(snapshot));
    this.#published?.next(snapshot);
  }

  /** Completes the stream. */
  end(): Lease<T> | undefined {
    this.#settle((next) => next.resolve(undefined));
    (this.#published ??= new Subject()).complete();
    const lease = this.#lease;
    this.#lease = undefined;
    return lease;
  }

  fail(error: VaultError): void {
    this.#settle((next) => next.reject(error));
    (this.#published ??= new Subject()).error(error);
  }

  #settle(settle: (next: Deferred<Credentials<T> | undefined>) => void): void {
    const next = this.#next;
    this.#next = undefined;
    if (next) settle(next);
  }
}

function deferred<V>(): Deferred<V> {
  let settle!: Omit<Deferred<V>, 'promise'>;
  const promise = new Promise<V>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...settle };
}
