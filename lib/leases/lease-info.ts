/**
 * The lease of a credential, as of the time of the snapshot.
 *
 * @publicApi
 */
export interface LeaseInfo {
  /** The API path at which the lease was issued. */
  readonly path: string;
  readonly issuedAt: Date;
  /** The earlier of the end of the lease and the end of its token. Renewals move it. */
  readonly validUntil: Date;
  /** Serial number of the lease within its path, from 1; events have the same number. */
  readonly serial: number;
  /** Serial number of the token that created the lease, within the connection. */
  readonly tokenSequence: number;
  readonly renewable: boolean;
  /**
   * Keeps the lease renewed after a newer lease has superseded it, as long as its max TTL allows. The returned function
   * releases the hold. A pool takes one hold for all connections that it opened with this lease.
   */
  hold(need?: HoldOptions): () => void;
  /**
   * Reports that the database or broker rejected the credentials. The lease is looked up, once for any number of
   * reports. If it has ended, or if the report is `confirmed`, a new lease is issued, as far as the rate limit allows.
   * A secret without a lease is read again in any case. Snapshots that a test makes by hand need not have this method.
   */
  reportRejected?(report: { confirmed: boolean }): Promise<void>;
  /**
   * Called before a pool lends a connection. While the lease is valid, it sends no request and returns `undefined`. If
   * the deadline has passed (after a suspension of the process), the lease is looked up, once for any number of calls.
   * The promise resolves if the lease is still valid, or if no server answers (then the database decides, and the next
   * call does not wait). It rejects with `VAULT_CREDENTIALS_EXPIRED` if the lease has ended. Snapshots that a test
   * makes by hand need not have this method.
   */
  ensureValid?(): Promise<void> | undefined;
}

/**
 * Options of {@link LeaseInfo.hold}.
 *
 * @publicApi
 */
export interface HoldOptions {
  /**
   * Milliseconds that the consumer needs to drain after a newer lease has superseded this one. The lease is renewed and
   * replaced early enough to leave this time. If its max TTL does not allow that, a `warning` event and the status say
   * so. @default 0
   */
  drain?: number;
  /**
   * Called once, shortly before a superseded lease ends although it is held. Not called if the lease ends without
   * notice (revoked, or with its token).
   */
  onEnding?: () => void;
}
