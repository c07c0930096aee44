import type * as Mysql from 'mysql2';
import mysql, { type PoolOptions } from 'mysql2';
import type { Observable } from 'rxjs';
import { VaultError } from '../../errors/vault-error.js';
import type { LibraryRotationOptions } from '../pg/library-options.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';
import { RotatingPool } from './rotating-pool.js';

/**
 * mysql2 itself, but for `createPool`, which makes a {@link RotatingPool}: for libraries that take a driver and make
 * their pool by themselves, as TypeORM does (`type: 'mysql'` or `'mariadb'`, `driver: rotatingMysql(credentials$)`).
 * User and password are left out of their options.
 *
 * @publicApi
 */
export function rotatingMysql(
  credentials$: Observable<LoginCredentials>,
  { onRotation, ...options }: LibraryRotationOptions = {},
): typeof Mysql {
  const createPool = (config: PoolOptions) => {
    const pool = new RotatingPool(credentials$, { ...options, ...config });
    return onRotation ? pool.on('rotation', onRotation) : pool;
  };
  const createPoolCluster = () => {
    throw new VaultError({
      code: 'VAULT_CONFIG_INVALID',
      message: 'A cluster of pools (`replication`) does not rotate.',
      hint: 'Make a data source for the primary and another one for the replicas, each with its own pool.',
    });
  };
  const own = { createPool, createPoolCluster };
  // Not a copy: some members of mysql2 are loaded when they are first read.
  return Object.assign(Object.create(mysql), own) as typeof Mysql;
}
