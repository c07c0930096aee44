import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { VaultError } from '../../lib/errors/vault-error.js';
import type { Credentials } from '../../lib/leases/lease.js';
import type { LeaseRegistry } from '../../lib/leases/lease-registry.js';

export const SECOND = 1_000;

export type User = { username: string; password: string };
export type Snapshot = Credentials<User>;

/** The emissions that a subscriber received. */
export interface Subscription {
  path: string;
  values: Snapshot[];
  errors: unknown[];
  completions: number;
  /** The path was released meanwhile. */
  released: boolean;
  unsubscribed: boolean;
  unsubscribe(): void;
}

/** The consumers of credentials, with the guarantees that must hold for them in every run. */
export class Consumers {
  readonly subscriptions: Subscription[] = [];
  readonly holds: (User & { letGo: () => void })[] = [];
  /** Number of pending calls of `get`. */
  waiting = 0;
  /** Released paths, each with the number of requests sent before its last release. */
  readonly released = new Map<string, number>();
  closing = false;
  readonly #leases: LeaseRegistry;
  readonly #handedOut: (snapshot: Snapshot, how: string) => void;
  readonly #failures: unknown[] = [];

  constructor(leases: LeaseRegistry, handedOut: (snapshot: Snapshot, how: string) => void) {
    this.#leases = leases;
    this.#handedOut = handedOut;
  }

  subscribe(path: string, keepTrying: boolean): void {
    const subscription: Subscription = {
      path,
      values: [],
      errors: [],
      completions: 0,
      released: false,
      unsubscribed: false,
      unsubscribe() {
        this.unsubscribed = true;
        inner.unsubscribe();
      },
    };
    this.subscriptions.push(subscription);
    const goesOn = () => {
      assert.equal(subscription.errors.length + subscription.completions, 0, 'a stream ended twice');
      assert.ok(!subscription.unsubscribed, 'a stream goes on after unsubscribe');
    };
    const inner = this.#leases.watch<User>(path, keepTrying).subscribe({
      next: this.#guarded((snapshot: Snapshot) => {
        goesOn();
        subscription.values.push(snapshot);
        this.#handedOut(snapshot, 'published');
      }),
      error: this.#guarded((error: unknown) => {
        goesOn();
        subscription.errors.push(error);
        assert.equal(subscription.values.length, 0, `a stream erred after a value: ${inspect(error)}`);
        assert.ok(!keepTrying, `a stream that keeps trying erred: ${inspect(error)}`);
        assert.ok(error instanceof VaultError, `a stream erred without a type: ${inspect(error)}`);
      }),
      complete: this.#guarded(() => {
        goesOn();
        subscription.completions++;
        assert.ok(subscription.released || this.closing, 'a stream completed by itself');
      }),
    });
  }

  get(path: string): void {
    this.waiting++;
    this.#leases
      .get<User>(path)
      .finally(() => this.waiting--)
      .then(
        this.#guarded((snapshot: Snapshot) => this.#handedOut(snapshot, 'got')),
        this.#guarded((error: unknown) =>
          assert.ok(error instanceof VaultError, `untyped: ${inspect(error)}`),
        ),
      );
  }

  hold(path: string): void {
    const snapshot = this.#leases.current<User>(path);
    if (!snapshot) return;
    this.holds.push({ ...snapshot.data.reveal(), letGo: snapshot.lease.hold() });
  }

  letGo(index: number): void {
    this.holds.splice(index % Math.max(1, this.holds.length), 1)[0]?.letGo();
  }

  async release(path: string, asked: number): Promise<void> {
    this.released.set(path, asked);
    for (const one of this.subscriptions) if (one.path === path) one.released = true;
    await this.#leases.release(path);
  }

  /** The first failure that rxjs or a promise would have swallowed. */
  assertNoFailure(): void {
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  /** Wraps a callback, so that its failure fails the run at the next rest. */
  guard(check: () => void): void {
    this.#guarded(check)();
  }

  #guarded<A extends unknown[]>(check: (...values: A) => void): (...values: A) => void {
    return (...values) => {
      try {
        check(...values);
      } catch (error) {
        this.#failures.push(error);
      }
    };
  }
}
