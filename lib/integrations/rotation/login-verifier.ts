import type { UserCredentials } from '../../leases/user-credentials.js';
import { background } from '../../clock/background.js';
import { withLoginTimeout } from './login-timeout.js';
import type { PoolEvents } from './pool-events.js';
import type { PoolGeneration } from './pool-generation.js';
import type { RotationDriver } from './rotation-driver.js';
import type { VerificationCause } from './verification-throttle.js';

/** Milliseconds between attempts to log in with new credentials; the pause doubles. */
const RETRY = { first: 100, last: 2_000 };
/** Milliseconds between attempts to log in with rejected credentials that nothing has replaced. */
const RETRY_REJECTED = 5_000;
/** A replica may learn of a new user later than the primary, so a failure is reported after this many attempts. */
const ATTEMPTS_BEFORE_REPORT = 4;

/** The part of a rotation that a verification depends on. */
interface RotationState<C> {
  readonly current: PoolGeneration<C> | undefined;
  readonly candidate: PoolGeneration<C> | undefined;
  readonly ended: boolean;
}

/** Verifies credentials by a login of its own, and reports to the lease if that fails. */
export class LoginVerifier<C> {
  readonly #driver: RotationDriver<C>;
  readonly #events: PoolEvents;
  readonly #rotation: RotationState<C>;

  constructor(driver: RotationDriver<C>, events: PoolEvents, rotation: RotationState<C>) {
    this.#driver = driver;
    this.#events = events;
    this.#rotation = rotation;
  }

  /** Logs in with new credentials until that succeeds. The returned function stops it. */
  untilVerified(candidate: PoolGeneration<C>, onVerified: () => void): () => void {
    let stopped = false;
    let cancelRetry = () => {};
    const attempt = async (count: number, delay: number): Promise<void> => {
      try {
        await this.#verify(candidate, this.#rotation.current?.credentials);
      } catch (error) {
        if (stopped) return;
        if (count >= ATTEMPTS_BEFORE_REPORT && !candidate.loginRejected && candidate.throttle.due('login'))
          this.#reportFailure(candidate, error).catch(() => undefined);
        // Newer credentials were requested. Trying goes on, as a replica may learn of the password of a static role late.
        if (candidate.loginRejected) candidate.release();
        const pause = candidate.loginRejected ? RETRY.last : delay;
        const retry = () => void attempt(count + 1, Math.min(delay * 2, RETRY.last));
        cancelRetry = candidate.clock.setTimer(pause, retry);
        return;
      }
      if (stopped) return;
      this.#events.recordLogin();
      onVerified();
    };
    void attempt(1, RETRY.first);
    return () => {
      stopped = true;
      cancelRetry();
    };
  }

  /** Verifies the current credentials soon, unless a verification runs or ran a short time ago. */
  schedule(generation: PoolGeneration<C>, cause: VerificationCause): void {
    const { throttle } = generation;
    if (throttle.running || !throttle.due(cause)) return;
    throttle.running = true;
    // Deferred, as an application may end a pool as soon as its first login fails.
    const run = () => {
      const obsolete = this.#rotation.ended || generation !== this.#rotation.current;
      const verified = obsolete ? Promise.resolve() : this.#verifyCurrent(generation);
      verified.catch(() => undefined).finally(() => (throttle.running = false));
    };
    // The verification belongs to the pool, not to the request that met the error.
    background(() => setImmediate(run));
  }

  /** Logs in once; rejects with the error of the login, or after a time-out. */
  #verify({ credentials, clock }: PoolGeneration<C>, previous?: UserCredentials): Promise<void> {
    return withLoginTimeout(this.#driver.verify(credentials, previous), clock);
  }

  async #verifyCurrent(generation: PoolGeneration<C>): Promise<void> {
    try {
      await this.#verify(generation);
    } catch (error) {
      if (generation !== this.#rotation.current) return;
      await this.#reportFailure(generation, error);
      if (generation.loginRejected) this.#untilAccepted(generation);
      return;
    }
    this.#accepted(generation);
    await generation.lease.reportRejected?.({ confirmed: false });
  }

  /**
   * Logs in with rejected credentials until that works, or others are tried. Otherwise a pool without new connections would
   * never learn that they work: those of a static role may stay the same, and Vault may be down.
   */
  #untilAccepted(generation: PoolGeneration<C>): void {
    const { clock, throttle } = generation;
    if (throttle.retrying) return;
    throttle.retrying = true;
    const attempt = async () => {
      const { current, candidate, ended } = this.#rotation;
      if (generation !== current || candidate || ended || !generation.loginRejected)
        return void (throttle.retrying = false);
      await this.#verify(generation).then(
        () => this.#accepted(generation),
        () => undefined,
      );
      again();
    };
    const again = () => clock.setTimer(RETRY_REJECTED, () => background(() => void attempt()));
    again();
  }

  #accepted(generation: PoolGeneration<C>): void {
    generation.loginRejected = false;
    this.#events.recordLogin();
    generation.link?.poolChanged();
  }

  /**
   * Reports a failed login to the lease, which asks Vault whether it is valid, or is replaced if the login was
   * rejected.
   */
  async #reportFailure(generation: PoolGeneration<C>, error: unknown): Promise<void> {
    const { lease, throttle } = generation;
    const confirmed = this.#driver.isLoginRejected(error);
    generation.loginRejected = confirmed;
    generation.userMayBeDropped = true;
    this.#events.recordRefusal(lease, error, confirmed);
    if (confirmed) this.#events.emit(lease, { type: 'refused' });
    else if (throttle.recordFailure()) this.#events.emit(lease, { type: 'verification-failed', error });
    await lease.reportRejected?.({ confirmed });
  }
}
