import { background } from '../clock/background.js';
import { VaultError } from '../errors/vault-error.js';
import { refusedToken } from '../session/token-validator.js';
import type { Lease } from './lease.js';
import type { LeaseContext } from './lease-context.js';
import { latestStart } from './latest-start.js';

/** Milliseconds before a second rejected lease in a row is replaced: doubling, so that a fault causes no storm. */
const DELAY = { first: 1_000, last: 60_000 };
/** Milliseconds without a rejection after which the delay starts again. */
const RESET_AFTER = 300_000;

/** Handles leases of one path whose credentials were rejected. */
export class RejectionCheck {
  readonly #context: LeaseContext;
  /** The look-up in progress, and its lease. */
  #check: { lease: Lease<unknown>; gone: Promise<boolean> } | undefined;
  #delay = 0;
  #lastAt = -Infinity;

  constructor(context: LeaseContext) {
    this.#context = context;
  }

  /** Whether the server has ended the lease. It is looked up once, for any number of reports. */
  async isGone(lease: Lease<unknown>): Promise<boolean> {
    if (this.#check?.lease !== lease) this.#check = { lease, gone: background(() => this.#lookUp(lease)) };
    const check = this.#check;
    const gone = await check.gone;
    if (this.#check === check) this.#check = undefined;
    return gone;
  }

  /** Monotonic time from which on a lease that has just been rejected is replaced. */
  nextAt(): number {
    const now = this.#context.clock.monotonic();
    const known = now - this.#lastAt < RESET_AFTER;
    this.#delay = known ? Math.min(Math.max(this.#delay * 2, DELAY.first), DELAY.last) : 0;
    this.#lastAt = now + this.#delay;
    return this.#lastAt;
  }

  /** The default policy allows every token to look up its leases. Only "not found" proves that a lease has ended. */
  async #lookUp(lease: Lease<unknown>): Promise<boolean> {
    if (lease.id === '') return false;
    const { session, upkeep } = this.#context;
    const body = { lease_id: lease.id };
    const request = { method: 'POST', path: 'sys/leases/lookup', body, lane: 'vital' } as const;
    try {
      await upkeep.run(() => session.send(lease.token, request), latestStart(lease, this.#context.clock));
      return false;
    } catch (error) {
      if (refusedToken(error)) return session.isDead(lease.token);
      return error instanceof VaultError && error.code === 'VAULT_LEASE_NOT_FOUND';
    }
  }
}
