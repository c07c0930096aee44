import type { UserCredentials } from '../../leases/user-credentials.js';
import type { PoolGeneration } from './pool-generation.js';

export type { PoolCounters, PoolEvent } from '../../events/pool-events.js';

/** Milliseconds for {@link RotationDriver.beforeEnd}. */
export const BEFORE_END_TIMEOUT = 2_000;

/** The driver-specific half of a rotation. `C` is one connection. */
export interface RotationDriver<C> {
  /**
   * Opens one connection with these credentials, and closes it.
   *
   * @param previous the credentials that they replace; undefined for another verification of those in use
   */
  verify(credentials: UserCredentials, previous?: UserCredentials): Promise<void>;
  /**
   * Whether an error proves that the database knows no such user, or another password: new credentials are requested
   * then. After any other failed login Vault is asked whether the lease is valid.
   */
  isLoginRejected(error: unknown): boolean;
  /**
   * Called when new credentials come into use: idle connections of earlier ones can be closed.
   *
   * @param userMayBeDropped the database sent an error that it also sends for a user that was dropped
   */
  onPublished?(userMayBeDropped: boolean): void;
  /**
   * Called for each open connection of earlier credentials.
   *
   * @param closeAt the time at which it will be closed; undefined for another password of the same user (a static
   * role), as such a connection can stay open
   */
  onSuperseded?(connection: C, closeAt: Date | undefined): void;
  /**
   * Connections of another password of the same user are closed after the drain window, too. Default: they stay open,
   * as the database keeps them.
   */
  closesSameUser?: boolean;
  /**
   * Called when the pool ends, before the lease is released and the user dropped. The lease is held until the promise
   * settles, at most for {@link BEFORE_END_TIMEOUT}.
   */
  beforeEnd?(credentials: UserCredentials): Promise<void>;
  /** Number of uses that the application makes of a connection at the moment. Default: 1 for every open connection. */
  usesOf?(connection: C): number;
  /** Closes a connection at once, even in the middle of a query. */
  end(connection: C, generation: PoolGeneration<C>): void;
}

/**
 * Options of every rotating pool.
 *
 * @publicApi
 */
export interface RotationOptions {
  /**
   * Milliseconds that a connection of an earlier user may stay in use before it is closed: at least as long as
   * the longest transaction. Its lease is held that long, as far as its max TTL allows. Connections of a static role,
   * whose user stays, are not closed. @default 30000
   */
  drain?: number;
}

/** Default of {@link RotationOptions.drain}. */
export const DEFAULT_DRAIN = 30_000;
