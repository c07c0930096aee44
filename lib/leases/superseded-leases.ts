import type { Lease } from './lease.js';
import type { LeaseContext } from './lease-context.js';
import { SupersededLease } from './superseded-lease.js';

/** Most of the time there are none, and there may be such a list for each of ten thousand paths. */
const NONE = new Map<Lease<unknown>, SupersededLease>();

/** The superseded leases of one path, until each has ended. */
export class SupersededLeases {
  readonly #context: LeaseContext;
  #entries = NONE;

  constructor(context: LeaseContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#entries.size;
  }

  get leases(): Lease<unknown>[] {
    return [...this.#entries.keys()];
  }

  /** Whether one of them has this id. */
  has(id: string): boolean {
    return this.leases.some((lease) => lease.id === id);
  }

  /** Whether a consumer holds one of them. */
  get held(): boolean {
    return this.leases.some((lease) => lease.held);
  }

  /**
   * Resolves when the server was asked to end the lease, or at once if a consumer holds it.
   *
   * @param grace milliseconds for consumers that use it without a hold
   * @param renewal the request about it that is under way
   */
  async add(lease: Lease<unknown>, grace: number, renewal?: Promise<void>): Promise<void> {
    if (lease.id === '') return;
    if (this.#entries === NONE) this.#entries = new Map();
    const entry = new SupersededLease(lease, this.#context, () => this.#entries.delete(lease));
    this.#entries.set(lease, entry);
    await entry.start(grace, renewal);
  }

  /** There is another token: a lease that waited for the end of the old one may end now. */
  tokenChanged(): void {
    for (const entry of this.#entries.values()) entry.wake();
  }

  /** Asks the server to end all of them soon, held or not; for tokens that outlive this process. */
  async retireAll(): Promise<void> {
    await Promise.all([...this.#entries.values()].map((entry) => entry.retire(0)));
  }
}
