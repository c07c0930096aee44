import { Lease, type LeaseInit, type Maybe } from './model.js';
import { Refusal } from './refusal.js';
import type { ServerState } from './server-state.js';
import { grantedTtl } from './ttl.js';

/**
 * One lease as `SimulatedVault.liveLeases` tells it.
 *
 * @publicApi
 */
export interface LiveLease {
  readonly id: string;
  /** Where it was made, as `database/creds/app`. */
  readonly path: string;
  /** Milliseconds that it has left by itself; the token may end before. */
  readonly left: number;
  /** Number of the token that made it, as in the history. */
  readonly token: number;
}

const RETRIES = 6;
const RETRY_AFTER = 10_000;

/** All leases of a server. */
export class LeaseStore {
  readonly #core: ServerState;
  readonly #leases = new Map<string, Lease>();

  constructor(core: ServerState) {
    this.#core = core;
  }

  get size(): number {
    return this.#leases.size;
  }

  all(): IterableIterator<Lease> {
    return this.#leases.values();
  }

  find(id: string): Lease | undefined {
    return this.#leases.get(id);
  }

  /** Those whose id begins so; a scan. */
  below(prefix: string): Lease[] {
    return [...this.#leases.values()].filter(({ id }) => id.startsWith(prefix));
  }

  /** What a new lease of a token may last: that of a batch token ends with it, any other as its role says. */
  grant(init: Pick<LeaseInit, 'ttls' | 'token'>, issuedAt: number, increment = 0) {
    const { now } = this.#core;
    const granted = grantedTtl({ ...init.ttls(), increment, issuedAt }, now);
    if (init.token.type === 'batch') {
      granted.ttl = Math.min(granted.ttl, Math.max(0, Math.round((init.token.expires - now) / 1000)));
    }
    return granted;
  }

  create(init: LeaseInit): Lease {
    const { now } = this.#core;
    const lease = new Lease(init, now, this.grant(init, now).ttl);
    this.#leases.set(lease.id, lease);
    init.token.leases.add(lease);
    this.#core.expireAt(lease.expires, lease);
    return lease;
  }

  /** Renews by so many seconds from now, or by the default of the role. */
  async renew(lease: Lease, increment: number): Promise<string[]> {
    const { now } = this.#core;
    if (!lease.renewable) throw new Refusal(400, 'lease is not renewable');
    try {
      const { ttl, warnings } = this.grant(lease.init, lease.issuedAt, increment);
      const expires = now + ttl * 1000;
      await lease.init.renew?.(expires);
      lease.ttl = ttl;
      lease.renewedAt = now;
      lease.expires = expires;
      this.#core.expireAt(expires, lease);
      return warnings;
    } catch (error) {
      const { message } = error as Error;
      throw new Refusal(400, `failed to renew entry: resp: (*logical.Response)(nil) err: ${message}`);
    }
  }

  /** Ends a lease in the background, as at its deadline; the server tries again where that fails. */
  end(lease: Lease): void {
    if (lease.ended) return;
    this.#forget(lease);
    const ending = this.#attempt(lease);
    if (ending instanceof Promise) this.#core.hold(ending);
  }

  /** Ends a lease now; where that fails it lives on. */
  async endNow(lease: Lease): Promise<void> {
    try {
      await lease.init.end();
    } catch (error) {
      const { message } = error as Error;
      throw new Refusal(400, `failed to revoke entry: resp: (*logical.Response)(nil) err: ${message}`);
    }
    this.#forget(lease);
  }

  #attempt(lease: Lease): Maybe<void> {
    try {
      const ending = lease.init.end();
      if (ending instanceof Promise) return ending.catch(() => this.#again(lease));
    } catch {
      this.#again(lease);
    }
  }

  #again(lease: Lease): void {
    if (++lease.failures >= RETRIES) return;
    const expires = this.#core.now + RETRY_AFTER * 2 ** (lease.failures - 1);
    const retry = () => void this.#attempt(lease);
    this.#core.expireAt(expires, { expires, ended: false, queued: Infinity, retry });
  }

  #forget(lease: Lease): void {
    lease.ended = true;
    this.#leases.delete(lease.id);
    lease.init.token.leases.delete(lease);
  }
}
