import { LINK, type ConnectionLink } from './connection-link.js';
import type { HoldOptions, Lease, LeaseInfo } from './lease.js';

/** A lease as of one moment, for its consumers. Its methods are on the prototype: there may be ten thousand snapshots. */
export class LeaseSnapshot implements LeaseInfo {
  readonly path: string;
  readonly issuedAt: Date;
  readonly validUntil: Date;
  readonly serial: number;
  readonly tokenSequence: number;
  readonly renewable: boolean;
  readonly #lease: Lease<unknown>;

  constructor(lease: Lease<unknown>) {
    this.#lease = lease;
    this.path = lease.path;
    this.issuedAt = lease.issuedAt;
    this.validUntil = lease.validUntil();
    this.serial = lease.serial;
    this.tokenSequence = lease.token.sequence;
    this.renewable = lease.grant.renewable;
    Object.freeze(this);
  }

  hold(need?: HoldOptions): () => void {
    return this.#lease.hold(need);
  }

  reportRejected({ confirmed }: { confirmed: boolean }): Promise<void> {
    return this.#lease.hooks.onRejected(this.#lease, confirmed);
  }

  ensureValid(): Promise<void> | undefined {
    return this.#lease.hooks.ensureValid(this.#lease);
  }

  /** On the prototype, where no printer finds it. */
  get [LINK](): ConnectionLink {
    return this.#lease.hooks.link;
  }
}
