/**
 * An event of a pool, discriminated by `type`; it holds no secret.
 *
 * @publicApi
 */
export type PoolEvent = {
  /** API path of the credentials. */
  path: string;
  /** Serial number of their lease within that path. */
  serial: number;
} & PoolEventDetails;

/** An event without the names of the credentials. @inline */
export type PoolEventDetails =
  | {
      /** New credentials have logged in; new connections use them from now on. */
      type: 'rotated';
      /** Number of open connections of the previous credentials. */
      superseded: number;
    }
  | {
      /**
       * A login with new credentials, or with those in use, failed, and the error does not prove that the credentials
       * are the cause: the database may be unreachable, or a proxy in between may have dropped the user. Vault is
       * asked whether the lease is valid. New credentials are tried again. An outage is reported once.
       */
      type: 'verification-failed';
      error: unknown;
    }
  | {
      /** The database rejected the credentials: new ones are requested. */
      type: 'refused';
    }
  | {
      /** Connections were still in use at the end of the drain window, and were closed. */
      type: 'drain-timeout';
      count: number;
    }
  | {
      /** A condition that an operator should correct. */
      type: 'warning';
      message: string;
    };

/**
 * Number of events of each type since the pool was created, for metrics; they only grow. `drain-timeout` counts
 * connections.
 *
 * @publicApi
 */
export type PoolCounters = Readonly<Record<PoolEvent['type'], number>>;
