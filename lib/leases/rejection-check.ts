import { background } from '../clock/background.js';
import { VaultError } from '../errors/vault-error.js';
import { refusedToken } from '../session/token-validator.js';
import type { Lease } from './lease.js';
import type { LeaseContext } from './lease-context.js';
import { latestStart } from './latest-start.js';

/** Milliseconds between leases that consumers refuse one after the other: doubling, so that a fault makes no storm. */
const DELAY = { first: 1_000, last: 60_000 };
/** After so long without one, the next refusal is taken for the first. */
const FORGOTTEN = 300_000;

/** What becomes of a lease that a consumer was refused with: the server is asked, and the lease is marked. */
export class RejectionCheck {
  readonly #context: LeaseContext;
  /** The look-up under way, and what of. */
  #look: { lease: Lease<unknown>; gone: Promise<boolean> } | undefined;
  #delay = 0;
  #lastAt = -Infinity;

  constructor(context: LeaseContext) {
    this.#context = context;
  }

  /** The server is asked once, however many report it. */
  async examine(lease: Lease<unknown>, confirmed: boolean): Promise<void> {
    if (lease.over || lease.rejected) return;
    if (this.#look?.lease !== lease) this.#look = { lease, gone: background(() => this.#isGone(lease)) };
    const look = this.#look;
    const gone = await look.gone;
    if (this.#look === look) this.#look = undefined;
    if (gone) lease.over = true;
    // The server knows nothing of what has no lease: another read tells.
    else if (confirmed || lease.id === '') lease.rejected ??= { at: this.#nextAt(), confirmed };
  }

  /** Every token may look up the leases it made: the default policy allows it. No other answer proves anything. */
  async #isGone(lease: Lease<unknown>): Promise<boolean> {
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

  #nextAt(): number {
    const now = this.#context.clock.monotonic();
    const known = now - this.#lastAt < FORGOTTEN;
    this.#delay = known ? Math.min(Math.max(this.#delay * 2, DELAY.first), DELAY.last) : 0;
    this.#lastAt = now + this.#delay;
    return this.#lastAt;
  }
}
