import type { Observable, Subscription } from 'rxjs';
import { runIsolated } from '../../clock/run-isolated.js';
import { background } from '../../clock/background.js';
import { VaultError } from '../../errors/vault-error.js';
import { LoginVerifier } from './login-verifier.js';
import { withLoginTimeout } from './login-timeout.js';
import type { PoolEvents } from './pool-events.js';
import { PoolGeneration, sameUser } from './pool-generation.js';
import { noCredentialsError, poolEndedError } from './rotation-errors.js';
import {
  BEFORE_END_TIMEOUT,
  DEFAULT_DRAIN,
  type RotationDriver,
  type RotationOptions,
} from './rotation-driver.js';
import type { VerificationCause } from './verification-throttle.js';
import type { UserCredentials } from '../../leases/user-credentials.js';

/** Milliseconds between attempts to log in with new credentials; the pause doubles. */
const VERIFY_RETRY = { first: 100, last: 2_000 };
/** A replica may learn of a new user later than the primary, so a failure is reported after this many attempts. */
const ATTEMPTS_BEFORE_REPORT = 4;

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
  readonly #drain: number;
  readonly #subscription: Subscription;
  readonly #superseded = new Set<PoolGeneration<C>>();
  #current: PoolGeneration<C> | undefined;
  /** New credentials whose login is not verified yet. */
  #candidate: PoolGeneration<C> | undefined;
  #verifyTimer: NodeJS.Timeout | undefined;
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
    options: RotationOptions & { events: PoolEvents; onEnd: (error?: Error) => void },
  ) {
    this.#driver = driver;
    this.#events = options.events;
    this.#verifier = new LoginVerifier(driver, options.events, this);
    this.#drain = options.drain ?? DEFAULT_DRAIN;
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
    const expired = await withLoginTimeout(validity, REPLACEMENT_TIMEOUT).then(
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

  /** The reason why no more credentials will come; undefined while they may. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Waits up to `timeout` milliseconds for newer credentials; false if there are none. */
  async waitForReplacement(generation: PoolGeneration<C>, timeout: number): Promise<boolean> {
    if (generation === this.#current && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#replacementWaiters.add(resolve);
        setTimeout(() => {
          this.#replacementWaiters.delete(resolve);
          resolve();
        }, timeout).unref();
      });
    }
    return generation !== this.#current && !this.#ended;
  }

  /** Number of open connections of earlier credentials. */
  get supersededCount(): number {
    return [...this.#superseded].reduce((sum, { connections }) => sum + connections.size, 0);
  }

  /** Records a connection as soon as it is being opened. */
  connectionOpened(generation: PoolGeneration<C>, connection: C): void {
    generation.connections.add(connection);
  }

  /** Records that a connection is closed, or failed to open. */
  connectionClosed(generation: PoolGeneration<C>, connection: C): void {
    generation.connections.delete(connection);
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
    void withLoginTimeout(pending, BEFORE_END_TIMEOUT).then(done, done);
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
      return void this.#verifyCandidate(generation, 1, VERIFY_RETRY.first);
    }
    this.#current = generation;
    for (const { resolve } of this.#readyWaiters.splice(0)) resolve(generation);
  }

  async #verifyCandidate(generation: PoolGeneration<C>, attempt: number, delay: number): Promise<void> {
    try {
      await this.#verifier.verify(generation.credentials, this.#current?.credentials);
    } catch (error) {
      if (this.#candidate !== generation) return;
      const { throttle } = generation;
      if (attempt >= ATTEMPTS_BEFORE_REPORT && !generation.loginRejected && throttle.due('login')) {
        this.#verifier.reportFailure(generation, error).catch(() => undefined);
      }
      // Newer credentials were requested. Trying goes on, as a replica may learn of the password of a static role late.
      if (generation.loginRejected) generation.release();
      const pause = generation.loginRejected ? VERIFY_RETRY.last : delay;
      const retry = () =>
        void this.#verifyCandidate(generation, attempt + 1, Math.min(delay * 2, VERIFY_RETRY.last));
      this.#verifyTimer = setTimeout(retry, pause).unref();
      return;
    }
    if (this.#candidate === generation) this.#publish(generation);
  }

  #publish(generation: PoolGeneration<C>): void {
    const previous = this.#current as PoolGeneration<C>;
    this.#candidate = undefined;
    this.#current = generation;
    generation.hold();
    this.#superseded.add(previous);
    this.#driver.onPublished(previous.userMayBeDropped);
    for (const earlier of this.#superseded) this.#supersede(earlier, previous);
    const { path, serial } = generation;
    this.#events.emit({ type: 'rotated', path, serial, superseded: previous.connections.size });
    this.#releaseIfUnused(previous);
    this.#wakeWaiters();
  }

  /**
   * Starts the drain window of earlier credentials. Sessions of the same user need none: the database keeps them
   * open.
   */
  #supersede(earlier: PoolGeneration<C>, previous: PoolGeneration<C>): void {
    const { credentials } = this.#current as PoolGeneration<C>;
    const same = sameUser(earlier.credentials, credentials);
    // Connections of older generations were notified before, unless their user is replaced only now.
    if (earlier !== previous && (same || earlier.closeAt)) return;
    const closeAt = same ? undefined : earlier.startDrain(this.#drain, () => this.#closeOverdue(earlier));
    for (const connection of earlier.connections)
      runIsolated(() => this.#driver.onSuperseded(connection, closeAt));
  }

  /** The lease ends soon, and the database user with it. */
  #leaseEnding(generation: PoolGeneration<C>): void {
    // The current lease is ending: use the new credentials although they are not verified yet.
    if (generation === this.#current && this.#candidate) this.#publish(this.#candidate);
    if (this.#superseded.has(generation)) this.#closeOverdue(generation);
  }

  #closeOverdue(generation: PoolGeneration<C>): void {
    const { path, serial, connections } = generation;
    const count = [...connections].filter((one) => this.#driver.isInUse?.(one) ?? true).length;
    if (count > 0) this.#events.emit({ type: 'drain-timeout', path, serial, count });
    for (const connection of connections) this.#driver.end(connection, generation);
  }

  #releaseIfUnused(generation: PoolGeneration<C>): void {
    const needed = generation === this.#current && (!this.#ended || this.#endPending);
    if (generation.connections.size > 0 || needed) return;
    this.#superseded.delete(generation);
    generation.release();
  }

  #wakeWaiters(): void {
    for (const wake of this.#replacementWaiters) wake();
    this.#replacementWaiters.clear();
  }

  #dropCandidate(): void {
    clearTimeout(this.#verifyTimer);
    this.#candidate?.release();
    this.#candidate = undefined;
  }

  #rejectWaiters(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#readyWaiters.splice(0)) reject(this.#failure);
  }
}
