import { Lease, type LeaseInit, type Maybe } from './model.js';
import { Refusal } from './refusal.js';
import type { ServerTime } from './server-time.js';
import { grantedTtl } from './ttl.js';

const RETRIES = 6;
const RETRY_AFTER = 10_000;

/** All leases of a server. */
export class LeaseStore {
  readonly #time: ServerTime;
  readonly #leases = new Map<string, Lease>();
  /** Ended leases whose revocation failed, and is tried again. */
  readonly #unrevoked = new Set<Lease>();
  readonly #onExpired = (lease: Lease) => this.end(lease);

  constructor(time: ServerTime) {
    this.#time = time;
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

  /** Leases whose id begins with the prefix; scans all leases. */
  below(prefix: string): Lease[] {
    return [...this.#leases.values()].filter(({ id }) => id.startsWith(prefix));
  }

  /** TTL of a new or renewed lease: as the role allows; a lease of a batch token ends with the token at the latest. */
  grant(init: Pick<LeaseInit, 'ttls' | 'token'>, issuedAt: number, increment = 0) {
    const { now } = this.#time;
    const granted = grantedTtl({ ...init.ttls(), increment, issuedAt }, now);
    if (init.token.type === 'batch') {
      granted.ttl = Math.min(granted.ttl, Math.max(0, Math.round((init.token.expires - now) / 1000)));
    }
    return granted;
  }

  create(init: LeaseInit): Lease {
    const { now } = this.#time;
    const lease = new Lease(init, now, this.grant(init, now).ttl, this.#onExpired);
    this.#leases.set(lease.id, lease);
    init.token.leases.add(lease);
    this.#time.expireAt(lease.expires, lease);
    return lease;
  }

  /** Renews by this many seconds from now, or by the default of the role. */
  async renew(lease: Lease, increment: number): Promise<string[]> {
    const { now } = this.#time;
    if (!lease.renewable) throw new Refusal(400, 'lease is not renewable');
    try {
      const { ttl, warnings } = this.grant(lease.init, lease.issuedAt, increment);
      const expires = now + ttl * 1000;
      await lease.init.renew?.(expires);
      lease.ttl = ttl;
      lease.renewedAt = now;
      lease.expires = expires;
      this.#time.expireAt(expires, lease);
      return warnings;
    } catch (error) {
      const { message } = error as Error;
      throw new Refusal(400, `failed to renew entry: resp: (*logical.Response)(nil) err: ${message}`);
    }
  }

  /** Ends a lease in the background, as at its deadline; the server retries if the revocation fails. */
  end(lease: Lease): void {
    if (lease.ended) return;
    this.#forget(lease);
    const ending = this.#tryToEnd(lease);
    if (ending instanceof Promise) this.#time.hold(ending);
  }

  /** Ends a lease now; if the revocation fails, the lease stays. */
  async endNow(lease: Lease): Promise<void> {
    try {
      await lease.init.end();
    } catch (error) {
      const { message } = error as Error;
      throw new Refusal(400, `failed to revoke entry: resp: (*logical.Response)(nil) err: ${message}`);
    }
    this.#forget(lease);
    this.#unrevoked.delete(lease);
  }

  /**
   * Ends all leases now, also those whose revocation has failed, and any that appear meanwhile.
   *
   * @returns the leases whose revocation failed, with the reason
   */
  async endAll(): Promise<{ lease: Lease; reason: string }[]> {
    const failed = new Map<Lease, string>();
    const open = () => [...this.#leases.values(), ...this.#unrevoked].filter((lease) => !failed.has(lease));
    do {
      for (const lease of open())
        await this.endNow(lease).catch((error: Error) => failed.set(lease, error.message));
      await this.#time.settled();
    } while (open().length > 0);
    return [...failed].map(([lease, reason]) => ({ lease, reason }));
  }

  #tryToEnd(lease: Lease): Maybe<void> {
    try {
      const ending = lease.init.end();
      const done = () => void this.#unrevoked.delete(lease);
      if (ending instanceof Promise) return ending.then(done, () => this.#retry(lease));
      done();
    } catch {
      this.#retry(lease);
    }
  }

  #retry(lease: Lease): void {
    this.#unrevoked.add(lease);
    if (++lease.failures >= RETRIES) return;
    const expires = this.#time.now + RETRY_AFTER * 2 ** (lease.failures - 1);
    const onExpired = () => void this.#tryToEnd(lease);
    this.#time.expireAt(expires, { expires, ended: false, queued: Infinity, onExpired });
  }

  #forget(lease: Lease): void {
    lease.ended = true;
    this.#leases.delete(lease.id);
    lease.init.token.leases.delete(lease);
  }
}
