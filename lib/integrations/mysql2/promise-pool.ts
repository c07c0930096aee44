import type { Pool as CallbackPool } from 'mysql2';
import type { Pool, PoolConnection } from 'mysql2/promise';
import type { PoolCounters, PoolEvent } from '../rotation/rotation-driver.js';

/** A rotating pool with callbacks. */
interface RotatingCore extends CallbackPool {
  readonly supersededCount: number;
  readonly counters: PoolCounters;
}

/** The pool of `mysql2/promise` around a rotating pool `P`. */
export type PromisePool<P> = Pool & {
  readonly pool: P;
  /** Number of open connections of earlier credentials. */
  readonly supersededCount: number;
  /** Number of events of each type. */
  readonly counters: PoolCounters;
  on(event: 'rotation', listener: (event: PoolEvent) => void): PromisePool<P>;
};

/** Adds to a promise pool the events and counters of its pool; mysql2 forwards only the events that it knows. */
export function promisePoolOf<P extends RotatingCore>(pool: P, plain: Pool): PromisePool<P> {
  pool.on('rotation', (event: PoolEvent) => plain.emit('rotation', event));
  const getConnection = (): Promise<PoolConnection> =>
    new Promise((resolve, reject) => {
      pool.getConnection((error, connection) => {
        if (error) return reject(error);
        const promised = connection.promise();
        const forward = (closeAt: Date) => promised.emit('superseded', closeAt);
        connection.once('superseded', forward);
        // The next user of the connection gets another promise object.
        const release = promised.release.bind(promised);
        promised.release = () => {
          connection.off('superseded', forward);
          release();
        };
        resolve(promised);
      });
    });
  return Object.defineProperties(plain, {
    getConnection: { value: getConnection, writable: true, configurable: true },
    supersededCount: { get: () => pool.supersededCount, configurable: true },
    counters: { get: () => pool.counters, configurable: true },
  }) as PromisePool<P>;
}
