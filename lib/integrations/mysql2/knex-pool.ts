import type { PoolConnection } from 'mysql2';
import { checkDriver } from '../driver/check-driver.js';
import type { RotatingMysqlPool } from './rotating-pool.js';

/** A connection with the fields that Knex sets. */
type KnexConnection = PoolConnection & { __knexUid?: string; __knex__disposed?: unknown };

/**
 * The interface of Knex's option `connectionPool`.
 *
 * @publicApi
 */
export interface KnexPool {
  /** Lends a connection. */
  acquire(): { promise: Promise<PoolConnection> };
  /** Takes a connection back; false if it is not lent. */
  release(connection: PoolConnection): boolean;
  /** Does nothing: the pool ends with the application. */
  destroy(): Promise<void>;
  /** Number of lent connections. */
  numUsed(): number;
  /** Number of idle connections. */
  numFree(): number;
  /** Number of callers that wait for a connection. */
  numPendingAcquires(): number;
}

/**
 * Adapts a {@link RotatingMysqlPool} to the option `connectionPool` of Knex (from 3.3 on, with `client: 'mysql2'`).
 *
 * Knex releases the connection of a stream twice. Its own pool ignores the second time; mysql2 may have lent the
 * connection to another user by then, who would lose it. So this adapter ignores the second time, too. `knex.destroy()`
 * does not end the pool: it ends itself when the stream of its credentials completes.
 *
 * @throws VaultError `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export function knexPool(pool: RotatingMysqlPool): KnexPool {
  checkDriver('knex', { imported: false });
  /** A new object for each time that a connection is lent. */
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
      // Knex sets this field on a broken connection.
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
