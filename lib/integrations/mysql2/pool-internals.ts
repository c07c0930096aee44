import mysql, { type Pool, type PoolConnection } from 'mysql2';
import type { PoolConfig } from './pool-config.js';

// Members of mysql2 that its types leave out.

/** The class of `createPool`. */
export const CorePool = (mysql as unknown as { Pool: new (options: { config: PoolConfig }) => Pool }).Pool;

interface Queue {
  readonly length: number;
  get(index: number): PoolConnection | undefined;
}

/** The connection that a pool started to open last. */
export function newestConnection(pool: Pool): PoolConnection | undefined {
  const { _allConnections: all } = pool as unknown as { _allConnections: Queue };
  return all.get(all.length - 1);
}

/** Whether the pool of a connection still has it. */
export function isPooled(connection: PoolConnection): boolean {
  return Boolean((connection as unknown as { _pool?: unknown })._pool);
}
