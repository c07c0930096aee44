import type { Clock } from '../../clock/clock.js';
import { linkOf, type ConnectionLink } from '../../leases/connection-link.js';
import type { HoldOptions, LeaseInfo } from '../../leases/lease-info.js';
import type { UserCredentials } from '../../leases/user-credentials.js';
import { clockOf } from './clock-of.js';
import { VerificationThrottle } from './verification-throttle.js';

/** Whether only the password differs, as after a rotation of a static role. */
export function sameUser(one: UserCredentials, other: UserCredentials): boolean {
  return one.username.reveal() === other.username.reveal();
}

/** The connections of a pool that logged in with one snapshot, and the hold on its lease. `C` is one connection. */
export class PoolGeneration<C> {
  readonly credentials: UserCredentials;
  readonly connections = new Set<C>();
  /** The connection to Vault that the credentials come from. */
  readonly link: ConnectionLink | undefined;
  readonly clock: Clock;
  /** At least one of its connections has logged in. */
  used = false;
  /** The database sent an error that it also sends for a user that was dropped. */
  userMayBeDropped = false;
  /** The database rejected a login with these credentials for certain. */
  loginRejected = false;
  readonly throttle: VerificationThrottle;
  /** End of the drain window, once credentials of another user are in use. */
  closeAt: Date | undefined;
  readonly #holdOptions: HoldOptions;
  #releaseHold: (() => void) | undefined;
  #cancelDrain: (() => void) | undefined;

  /** @param onEnding called shortly before the lease ends although it is held */
  constructor(credentials: UserCredentials, drain: number, onEnding: () => void) {
    this.credentials = credentials;
    this.link = linkOf(credentials.lease);
    this.clock = clockOf(credentials);
    this.throttle = new VerificationThrottle(this.clock);
    this.#holdOptions = { drain, onEnding };
    this.hold();
  }

  get lease(): LeaseInfo {
    return this.credentials.lease;
  }

  get path(): string {
    return this.lease.path;
  }

  /** Holds the lease; a second call does nothing until {@link release}. */
  hold(): void {
    this.#releaseHold ??= this.lease.hold(this.#holdOptions);
  }

  /** Starts the drain window and returns its end; {@link release} cancels `onTimeout`. */
  startDrain(milliseconds: number, onTimeout: () => void): Date {
    this.#cancelDrain = this.clock.setTimer(milliseconds, onTimeout);
    return (this.closeAt = new Date(this.clock.wall() + milliseconds));
  }

  /** Releases the hold on the lease. */
  release(): void {
    this.#cancelDrain?.();
    this.#releaseHold?.();
    this.#releaseHold = undefined;
  }
}
