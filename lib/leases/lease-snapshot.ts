import { inspect } from 'node:util';
import { LINK, type ConnectionLink } from './connection-link.js';
import type { HoldOptions, LeaseInfo } from './lease-info.js';

/** What a snapshot reads of its lease. Times in milliseconds since 1970. */
interface Source {
  readonly path: string;
  readonly serial: number;
  readonly token: { readonly sequence: number };
  readonly grant: { readonly renewable: boolean };
  readonly issuedAt: number;
  readonly end: number;
  readonly link: ConnectionLink;
  hold(need?: HoldOptions): () => void;
  reportRejected(confirmed: boolean): Promise<void>;
  ensureValid(): Promise<void> | undefined;
}

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
  readonly #lease: Source;
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

  constructor(lease: Source) {
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
    return this.#lease.reportRejected(confirmed);
  }

  ensureValid(): Promise<void> | undefined {
    return this.#lease.ensureValid();
  }

  /** On the prototype, where no printer finds it. */
  get [LINK](): ConnectionLink {
    return this.#lease.link;
  }

  /** With the dates, not with their getters. */
  [inspect.custom](): object {
    return Object.fromEntries(Object.entries(this));
  }
}
