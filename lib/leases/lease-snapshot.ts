import { inspect } from 'node:util';
import { LINK, type ConnectionLink } from './connection-link.js';
import type { HoldOptions, Lease, LeaseInfo } from './lease.js';

/**
 * A lease as of one moment, for its consumers. There may be ten thousand: the methods are on the prototype, and the dates
 * are created where they are read.
 */
export class LeaseSnapshot implements LeaseInfo {
  readonly path: string;
  readonly serial: number;
  readonly tokenSequence: number;
  readonly renewable: boolean;
  declare readonly issuedAt: Date;
  declare readonly validUntil: Date;
  readonly #lease: Lease<unknown>;
  readonly #end: number;
  /** Enumerable, so that the dates are in JSON and in a copy. */
  static readonly #DATES: PropertyDescriptorMap & ThisType<LeaseSnapshot> = {
    issuedAt: {
      enumerable: true,
      get() {
        return new Date(this.#lease.issuedAt);
      },
    },
    validUntil: {
      enumerable: true,
      get() {
        return new Date(this.#end);
      },
    },
  };

  constructor(lease: Lease<unknown>) {
    this.#lease = lease;
    this.#end = lease.end;
    this.path = lease.path;
    this.serial = lease.serial;
    this.tokenSequence = lease.token.sequence;
    this.renewable = lease.grant.renewable;
    Object.defineProperties(this, LeaseSnapshot.#DATES);
    Object.freeze(this);
  }

  /** Whether no renewal has moved the end since. */
  get isCurrent(): boolean {
    return this.#end === this.#lease.end;
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

  /** With the dates, not with their getters. */
  [inspect.custom](): object {
    return { ...this };
  }
}
