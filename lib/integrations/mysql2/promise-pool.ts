import type { Pool, PoolConnection } from 'mysql2/promise';
import type { PoolCounters, PoolEvent } from '../rotation/rotation-driver.js';
import type { RotatingPool } from './rotating-pool.js';

/**
 * The pool of `mysql2/promise` around a {@link RotatingPool}, which is its `pool`. It emits `'rotation'`, too, and its
 * connections emit `'superseded'`.
 *
 * @publicApi
 */
export type RotatingPromisePool = Pool & {
  readonly pool: RotatingPool;
  /** Connections of earlier credentials that are still open. */
  readonly supersededCount: number;
  /** How often each event came. */
  readonly counters: PoolCounters;
  on(event: 'rotation', listener: (event: PoolEvent) => void): RotatingPromisePool;
};

/** mysql2 passes on only the events that it knows. */
export function promisePoolOf(pool: RotatingPool, plain: Pool): RotatingPromisePool {
  pool.on('rotation', (event: PoolEvent) => plain.emit('rotation', event));
  const getConnection = (): Promise<PoolConnection> =>
    new Promise((resolve, reject) => {
      pool.getConnection((error, connection) => {
        if (error) return reject(error);
        const promised = connection.promise();
        const tell = (until: Date) => promised.emit('superseded', until);
        connection.once('superseded', tell);
        // The next user of the connection has an object of their own.
        const release = promised.release.bind(promised);
        promised.release = () => {
          connection.off('superseded', tell);
          release();
        };
        resolve(promised);
      });
    });
  return Object.defineProperties(plain, {
    getConnection: { value: getConnection, writable: true, configurable: true },
    supersededCount: { get: () => pool.supersededCount, configurable: true },
    counters: { get: () => pool.counters, configurable: true },
  }) as RotatingPromisePool;
}
