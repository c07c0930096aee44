import type { Observable, Subscription } from 'rxjs';
import type { UserCredentials } from '../../leases/user-credentials.js';
import { background } from '../../clock/background.js';
import { systemClock, type Clock } from '../../clock/clock.js';
import { VaultError } from '../../errors/vault-error.js';
import { LoginVerifier } from './login-verifier.js';
import { withLimit, withLoginTimeout } from './login-timeout.js';
import type { PoolEvents } from './pool-events.js';
import { PoolGeneration } from './pool-generation.js';
import { PoolListing } from './pool-listing.js';
import { noCredentialsError, poolEndedError } from './rotation-errors.js';
import { BEFORE_END_TIMEOUT, type RotationDriver } from './rotation-driver.js';
import { SupersededGenerations, usesOf } from './superseded-generations.js';
import type { VerificationCause } from './verification-throttle.js';

/** Milliseconds to wait for new credentials when the current ones do not work. */
export const REPLACEMENT_TIMEOUT = 5_000;

/**
 * Leads the connections of one pool from each credentials to the next: new credentials are verified before they are
 * used, and the lease of earlier ones is held until the last of their connections is closed.
 */
export class Rotation<C> {
  readonly #driver: RotationDriver<C>;
  readonly #events: PoolEvents;
  readonly #verifier: LoginVerifier<C>;
  readonly #listing: PoolListing<C>;
  readonly #drain: number;
  readonly #subscription: Subscription;
  readonly #superseded: SupersededGenerations<C>;
  #current: PoolGeneration<C> | undefined;
  /** New credentials whose login is not verified yet. */
  #candidate: PoolGeneration<C> | undefined;
  #stopVerification = () => {};
  #readyWaiters: { resolve: (generation: PoolGeneration<C>) => void; reject: (error: Error) => void }[] = [];
  readonly #replacementWaiters = new Set<() => void>();
  #failure: Error | undefined;
  #ended = false;
  /** `beforeEnd` of the driver is under way: the lease of the current credentials is held until it settles. */
  #endPending = false;

  /** @param options.onEnd called once when the stream ends, with its error if it has one */
  constructor(
    credentials$: Observable<UserCredentials>,
    driver: RotationDriver<C>,
    options: { drain: number; events: PoolEvents; onEnd: (error?: Error) => void },
  ) {
    this.#driver = driver;
    this.#events = options.events;
    this.#verifier = new LoginVerifier(driver, options.events, this);
    this.#listing = new PoolListing(options.events, this);
    this.#drain = options.drain;
    this.#superseded = new SupersededGenerations(driver, options.events, options.drain);
    const stop = (error: Error | undefined) => {
      this.#rejectWaiters(error ?? noCredentialsError());
      // A stream may end at once, before the constructor of the pool is done.
      queueMicrotask(() => options.onEnd(error));
    };
    this.#subscription = credentials$.subscribe({
      next: (credentials) => background(() => this.#receive(credentials)),
      error: (error: unknown) => stop(error as Error),
      complete: () => stop(undefined),
    });
  }

  /** The generation for new connections. Waits for the first; rejects after the end of the rotation. */
  async ready(): Promise<PoolGeneration<C>> {
    if (this.usable) return this.usable;
    if (this.#failure) throw this.#failure;
    return new Promise((resolve, reject) => this.#readyWaiters.push({ resolve, reject }));
  }

  /** The generation for new connections, if it is known already. */
  get usable(): PoolGeneration<C> | undefined {
    return this.#ended ? undefined : this.#current;
  }

  /**
   * Whether a connection may be lent; undefined (yes) while its lease is valid. After the end of the lease, Vault is
   * asked once for all callers; the promise gives false if there are newer credentials by then.
   *
   * @throws VaultError `VAULT_CREDENTIALS_EXPIRED` if there are none in time
   */
  checkLendable(generation: PoolGeneration<C>): Promise<boolean> | undefined {
    const validity = generation.credentials.lease.ensureValid?.();
    return validity && this.#lendAfter(generation, validity);
  }

  async #lendAfter(generation: PoolGeneration<C>, validity: Promise<void>): Promise<boolean> {
    const expired = await withLimit(validity, generation.clock, REPLACEMENT_TIMEOUT).then(
      () => undefined,
      // Without an answer in time, the database decides.
      (error: unknown) => (error instanceof VaultError ? error : undefined),
    );
    if (expired && generation === this.#current)
      await this.waitForReplacement(generation, REPLACEMENT_TIMEOUT);
    if (generation !== this.#current) return false;
    if (expired) throw expired;
    return true;
  }

  get current(): PoolGeneration<C> | undefined {
    return this.#current;
  }

  /** New credentials whose login is not verified yet. */
  get candidate(): PoolGeneration<C> | undefined {
    return this.#candidate;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The clock of the connection to Vault; the real one before the first credentials. */
  get clock(): Clock {
    return this.#current?.clock ?? systemClock;
  }

  /** The reason why no more credentials will come; undefined while they may. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Waits up to `timeout` milliseconds for newer credentials; false if there are none. */
  async waitForReplacement(generation: PoolGeneration<C>, timeout: number): Promise<boolean> {
    if (generation === this.#current && !this.#ended) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          cancel();
          this.#replacementWaiters.delete(wake);
          resolve();
        };
        const cancel = generation.clock.setTimer(timeout, wake);
        this.#replacementWaiters.add(wake);
      });
    }
    return generation !== this.#current && !this.#ended;
  }

  /** Number of uses of connections at the moment. */
  get uses(): number {
    return this.#superseded.uses + (this.#current ? usesOf(this.#current, this.#driver) : 0);
  }

  /** Number of open connections of earlier credentials. */
  get supersededCount(): number {
    return this.#superseded.size;
  }

  /** Records a connection as soon as it is being opened. */
  connectionOpened(generation: PoolGeneration<C>, connection: C): void {
    generation.connections.add(connection);
    generation.link?.poolChanged();
  }

  /** Records that a connection is closed, or failed to open. */
  connectionClosed(generation: PoolGeneration<C>, connection: C): void {
    generation.connections.delete(connection);
    generation.link?.poolChanged();
    this.#releaseIfUnused(generation);
  }

  /**
   * The database denied a statement, as it does for a user that was dropped: verifies the credentials, at a limited
   * rate.
   */
  verifyCurrent(generation: PoolGeneration<C>): void {
    generation.userMayBeDropped = true;
    this.#scheduleVerification(generation, 'statement');
  }

  /** A session ended by itself, because its user was dropped or because it was idle for too long. */
  sessionEnded(generation: PoolGeneration<C>): void {
    this.#scheduleVerification(generation, 'statement');
  }

  /**
   * A connection of these credentials failed to log in. They are verified after any error, because a proxy reports a
   * dropped user with errors of its own.
   */
  loginFailed(generation: PoolGeneration<C>, error: unknown): void {
    if (this.#driver.isLoginRejected(error)) generation.userMayBeDropped = true;
    this.#scheduleVerification(generation, 'login');
  }

  /** Stops the rotation: no new connections; each lease is released when its last connection closes. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#subscription.unsubscribe();
    this.#rejectWaiters(poolEndedError());
    this.#dropCandidate();
    this.#wakeWaiters();
    const { current } = this;
    if (!current) return;
    const done = () => {
      this.#endPending = false;
      this.#releaseIfUnused(current);
    };
    const pending = current.used && background(() => this.#driver.beforeEnd?.(current.credentials));
    if (!pending) return this.#releaseIfUnused(current);
    this.#endPending = true;
    void withLoginTimeout(pending, current.clock, BEFORE_END_TIMEOUT).then(done, done);
  }

  #scheduleVerification(generation: PoolGeneration<C>, cause: VerificationCause): void {
    if (generation !== this.#current || this.#candidate || this.#ended) return;
    this.#verifier.schedule(generation, cause);
  }

  #receive(credentials: UserCredentials): void {
    if (this.#ended) return;
    const generation: PoolGeneration<C> = new PoolGeneration(credentials, this.#drain, () =>
      this.#leaseEnding(generation),
    );
    if (this.#current) {
      this.#dropCandidate();
      this.#candidate = generation;
      this.#listing.add(generation);
      this.#stopVerification = this.#verifier.untilVerified(generation, () => this.#publish(generation));
      return;
    }
    this.#current = generation;
    this.#listing.add(generation);
    for (const { resolve } of this.#readyWaiters.splice(0)) resolve(generation);
  }

  #publish(generation: PoolGeneration<C>): void {
    const previous = this.#current as PoolGeneration<C>;
    this.#stopVerification();
    this.#candidate = undefined;
    this.#current = generation;
    generation.hold();
    this.#driver.onPublished?.(previous.userMayBeDropped);
    this.#superseded.add(previous, generation.credentials);
    this.#events.emit(generation.lease, { type: 'rotated', superseded: previous.connections.size });
    generation.link?.poolChanged();
    this.#releaseIfUnused(previous);
    this.#wakeWaiters();
  }

  /** The lease ends soon, and the database user with it. */
  #leaseEnding(generation: PoolGeneration<C>): void {
    // The current lease is ending: use the new credentials although they are not verified yet.
    if (generation === this.#current && this.#candidate) this.#publish(this.#candidate);
    this.#superseded.leaseEnding(generation);
  }

  #releaseIfUnused(generation: PoolGeneration<C>): void {
    const needed = generation === this.#current && (!this.#ended || this.#endPending);
    if (generation.connections.size > 0 || needed) return;
    this.#superseded.delete(generation);
    this.#listing.remove(generation);
    generation.release();
  }

  #wakeWaiters(): void {
    for (const wake of this.#replacementWaiters) wake();
  }

  #dropCandidate(): void {
    this.#stopVerification();
    if (!this.#candidate) return;
    this.#listing.remove(this.#candidate);
    this.#candidate.release();
    this.#candidate = undefined;
  }

  #rejectWaiters(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#readyWaiters.splice(0)) reject(this.#failure);
  }
}
