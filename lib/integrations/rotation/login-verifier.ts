import { background } from '../../clock/background.js';
import { withLoginTimeout } from './login-timeout.js';
import type { PoolEvents } from './pool-events.js';
import type { PoolGeneration } from './pool-generation.js';
import type { RotationDriver } from './rotation-driver.js';
import type { VerificationCause } from './verification-throttle.js';
import type { UserCredentials } from '../../leases/user-credentials.js';

/** The part of a rotation that a verification depends on. */
interface RotationState<C> {
  readonly current: PoolGeneration<C> | undefined;
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

  /** Logs in once; rejects with the error of the login, or after {@link LOGIN_TIMEOUT}. */
  verify(credentials: UserCredentials, previous?: UserCredentials): Promise<void> {
    return withLoginTimeout(this.#driver.verify(credentials, previous));
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

  async #verifyCurrent(generation: PoolGeneration<C>): Promise<void> {
    const { credentials } = generation;
    try {
      await this.verify(credentials);
    } catch (error) {
      if (generation === this.#rotation.current) await this.reportFailure(generation, error);
      return;
    }
    await credentials.lease.reportRejected?.({ confirmed: false });
  }

  /**
   * Reports a failed login to the lease, which asks Vault whether it is valid, or is replaced if the login was
   * rejected.
   */
  async reportFailure(generation: PoolGeneration<C>, error: unknown): Promise<void> {
    const { path, serial, throttle } = generation;
    generation.loginRejected = this.#driver.isLoginRejected(error);
    generation.userMayBeDropped = true;
    if (generation.loginRejected) this.#events.emit({ type: 'refused', path, serial });
    else if (throttle.recordFailure())
      this.#events.emit({ type: 'verification-failed', path, serial, error });
    await generation.credentials.lease.reportRejected?.({ confirmed: generation.loginRejected });
  }
}
