import type { PoolConnection } from 'mysql2';
import { checkDriver } from '../driver/check-driver.js';
import type { RotatingPool } from './rotating-pool.js';

/** A connection with what Knex notes on it. */
type KnexConnection = PoolConnection & { __knexUid?: string; __knex__disposed?: unknown };

/**
 * What Knex takes as `connectionPool`.
 *
 * @publicApi
 */
export interface KnexPool {
  acquire(): { promise: Promise<PoolConnection> };
  release(connection: PoolConnection): boolean;
  destroy(): Promise<void>;
  numUsed(): number;
  numFree(): number;
  numPendingAcquires(): number;
}

/**
 * A {@link RotatingPool} for the option `connectionPool` of Knex (from 3.3 on, with `client: 'mysql2'`).
 *
 * Knex gives the connection of a stream back twice. Its own pool takes no notice of that, but mysql2 may have given
 * the connection to somebody else in between, whom it would be taken from: so this pool counts the first time only.
 * `knex.destroy()` leaves the pool to the stream of its credentials, which ends it.
 *
 * @throws VaultError `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export function knexPool(pool: RotatingPool): KnexPool {
  checkDriver('knex', { imported: false });
  /** An object of its own for each time that a connection is lent. */
  const lent = new Map<PoolConnection, KnexConnection>();
  let pending = 0;
  let uid = 0;

  const acquire = async (): Promise<PoolConnection> => {
    pending++;
    try {
      const connection = await new Promise<KnexConnection>((resolve, reject) => {
        pool.getConnection((error, one) => (error ? reject(error) : resolve(one)));
      });
      connection.__knexUid = `__knexUid${++uid}`;
      const proxy = new Proxy(connection, {});
      lent.set(proxy, connection);
      return proxy;
    } finally {
      pending--;
    }
  };

  return {
    acquire: () => ({ promise: acquire() }),
    release: (proxy) => {
      const connection = lent.get(proxy);
      if (!connection || !lent.delete(proxy)) return false;
      // Knex knows that it broke.
      if (connection.__knex__disposed) connection.destroy();
      else connection.release();
      return true;
    },
    destroy: () => Promise.resolve(),
    numUsed: () => lent.size,
    numFree: () => (pool as unknown as { _freeConnections: { length: number } })._freeConnections.length,
    numPendingAcquires: () => pending,
  };
}
