import type { DatabaseCredentials } from '../../services/credentials.service.js';
import type { Era } from './era.js';

/** Milliseconds that a pool may take for what it does last. */
export const FAREWELL = 2_000;

/** What a rotation asks of the driver of a database. `C` is one connection. */
export interface RotationDriver<C> {
  /**
   * Opens one connection with these credentials, and closes it.
   *
   * @param previous whom they replace; undefined where those in use are checked again
   */
  prove(credentials: DatabaseCredentials, previous?: DatabaseCredentials): Promise<void>;
  /**
   * Whether an error says for certain that the database knows no such user, or another password: other credentials are
   * asked for then. After any other error of a login the server is asked whether the lease lives.
   */
  refuses(error: unknown): boolean;
  /**
   * New credentials are in use: connections of earlier ones that are idle now can go.
   *
   * @param doubtful the database has said what it would say if the earlier ones worked no more
   */
  published(doubtful: boolean): void;
  /**
   * A connection of earlier credentials may be in use; it will be ended at the given time.
   *
   * @param until undefined where they are of the same user (a static role): it may be used as long as it is needed
   */
  superseded(connection: C, until: Date | undefined): void;
  /** The pool ends, and soon the user of its credentials does: their lease is held until this is done, for {@link FAREWELL}. */
  leaving?(credentials: DatabaseCredentials): Promise<void>;
  /** Whether somebody uses a connection at the moment; without it, all that are open are taken to be in use. */
  inUse?(connection: C): boolean;
  /** Ends a connection, whatever it does at the moment. */
  end(connection: C, era: Era<C>): void;
}

/**
 * Options that all rotating pools have.
 *
 * @publicApi
 */
export interface RotationOptions {
  /**
   * Milliseconds that a connection of an earlier user may stay in use before it is closed: at least as long as
   * the longest transaction. Its lease is held for so long, as far as its max TTL allows. Connections of a static role,
   * whose user stays, have no such end. @default 30000
   */
  drain?: number;
}

/** Default of {@link RotationOptions.drain}. */
export const DRAIN = 30_000;

/**
 * What happens to a pool over time, without any secret in it; discriminated by `type`.
 *
 * @publicApi
 */
export type PoolEvent = {
  /** API path of the credentials, and the serial number of their lease. */
  path: string;
  serial: number;
} & (
  | {
      /** New credentials have logged in, and are in use from now on. */
      type: 'rotated';
      /** Connections of the ones before that are still open. */
      superseded: number;
    }
  | {
      /**
       * Credentials cannot log in, new ones or those in use, and the error does not say that it is because of them: the
       * database may be away, or a proxy in between knows the user no more. The server is asked whether the lease lives.
       * New ones are tried on. An outage is reported once.
       */
      type: 'verification-failed';
      error: unknown;
    }
  | {
      /** The database refuses credentials: new ones are asked for. */
      type: 'refused';
    }
  | {
      /** Connections were still in use after the drain window, and were closed. */
      type: 'drain-timeout';
      count: number;
    }
  | {
      /** Something for the operator. */
      type: 'warning';
      message: string;
    }
);

/**
 * How often a pool has told of each {@link PoolEvent} since it was made, for metrics: every number only grows. Of
 * `drain-timeout`, how many connections there were.
 *
 * @publicApi
 */
export type PoolCounters = Readonly<Record<PoolEvent['type'], number>>;
