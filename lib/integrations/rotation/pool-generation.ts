import type { HoldOptions } from '../../leases/lease.js';
import { VerificationThrottle } from './verification-throttle.js';
import type { UserCredentials } from '../../leases/user-credentials.js';

/** Whether only the password differs, as after a rotation of a static role: open sessions stay valid then. */
export function sameUser(one: UserCredentials, other: UserCredentials): boolean {
  return one.username.reveal() === other.username.reveal();
}

/** The connections of a pool that logged in with one snapshot, and the hold on its lease. `C` is one connection. */
export class PoolGeneration<C> {
  readonly credentials: UserCredentials;
  readonly connections = new Set<C>();
  /** At least one of its connections has logged in. */
  used = false;
  /** The database sent an error that it also sends for a user that was dropped. */
  userMayBeDropped = false;
  /** The database rejected a login with these credentials for certain. */
  loginRejected = false;
  readonly throttle = new VerificationThrottle();
  /** End of the drain window, once credentials of another user are in use. */
  closeAt: Date | undefined;
  readonly #holdOptions: HoldOptions;
  #releaseHold: (() => void) | undefined;
  #drainTimer: NodeJS.Timeout | undefined;

  /** @param onEnding called shortly before the lease ends although it is held */
  constructor(credentials: UserCredentials, drain: number, onEnding: () => void) {
    this.credentials = credentials;
    this.#holdOptions = { drain, onEnding };
    this.hold();
  }

  /** Holds the lease; a second call does nothing until {@link release}. */
  hold(): void {
    this.#releaseHold ??= this.credentials.lease.hold(this.#holdOptions);
  }

  get serial(): number {
    return this.credentials.lease.serial;
  }

  get path(): string {
    return this.credentials.lease.path;
  }

  /** Starts the drain window and returns its end; {@link release} cancels `onTimeout`. */
  startDrain(milliseconds: number, onTimeout: () => void): Date {
    this.#drainTimer = setTimeout(onTimeout, milliseconds).unref();
    return (this.closeAt = new Date(Date.now() + milliseconds));
  }

  /** Releases the hold on the lease. */
  release(): void {
    clearTimeout(this.#drainTimer);
    this.#releaseHold?.();
    this.#releaseHold = undefined;
  }
}
