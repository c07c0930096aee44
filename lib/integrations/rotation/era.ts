import type { HoldNeed } from '../../leases/lease.js';
import type { DatabaseCredentials } from '../../services/credentials.service.js';
import { Checks } from './checks.js';

/** Whether only the password differs: a static role, whose sessions go on when the server changes it. */
export function sameUser(one: DatabaseCredentials, other: DatabaseCredentials): boolean {
  return one.username.reveal() === other.username.reveal();
}

/** The connections that were opened with one snapshot, and the hold on its lease that they need. */
export class Era<C> {
  readonly credentials: DatabaseCredentials;
  readonly connections = new Set<C>();
  /** One of its connections has logged in. */
  used = false;
  /** The database said what a user who is gone would explain. */
  doubtful = false;
  /** The database is sure that these credentials do not log in. */
  refused = false;
  readonly checks = new Checks();
  /** When what is still in use is closed, once credentials of another user are in use. */
  until: Date | undefined;
  readonly #need: HoldNeed;
  #letGo: (() => void) | undefined;
  #drained: NodeJS.Timeout | undefined;

  /** @param onEnding called where the lease is about to end, whoever holds it */
  constructor(credentials: DatabaseCredentials, drain: number, onEnding: () => void) {
    this.credentials = credentials;
    this.#need = { drain, onEnding };
    this.hold();
  }

  /** From the beginning on, and again where it was let go of for a while. */
  hold(): void {
    this.#letGo ??= this.credentials.lease.hold(this.#need);
  }

  get serial(): number {
    return this.credentials.lease.serial;
  }

  get path(): string {
    return this.credentials.lease.path;
  }

  /** Calls back after the drain window, unless all is let go of before; returns its end. */
  drain(milliseconds: number, late: () => void): Date {
    this.#drained = setTimeout(late, milliseconds).unref();
    return (this.until = new Date(Date.now() + milliseconds));
  }

  /** Nothing needs the lease any more. */
  release(): void {
    clearTimeout(this.#drained);
    this.#letGo?.();
    this.#letGo = undefined;
  }
}
