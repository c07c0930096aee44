import type * as Mysql from 'mysql2';
import mysql, { type PoolOptions } from 'mysql2';
import type { Observable } from 'rxjs';
import { VaultError } from '../../errors/vault-error.js';
import type { LibraryRotationOptions } from '../rotation/library-options.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';
import { RotatingMysqlPool } from './rotating-pool.js';

/**
 * mysql2 with a `createPool` that creates a {@link RotatingMysqlPool}, for libraries that take a driver and create
 * their pool themselves, as TypeORM does (`type: 'mysql'` or `'mariadb'`, `driver:
 * rotatingMysqlDriver(credentials$)`). Leave user and password out of their options.
 *
 * @publicApi
 */
export function rotatingMysqlDriver(
  credentials$: Observable<LoginCredentials>,
  { onRotation, ...options }: LibraryRotationOptions = {},
): typeof Mysql {
  const createPool = (config: PoolOptions) => {
    const pool = new RotatingMysqlPool(credentials$, { ...options, ...config });
    return onRotation ? pool.on('rotation', onRotation) : pool;
  };
  const createPoolCluster = () => {
    throw new VaultError({
      code: 'VAULT_CONFIG_INVALID',
      message: 'Credentials of a pool cluster (`replication`) cannot rotate.',
      hint: 'Create one data source for the primary and one for the replicas, each with its own pool.',
    });
  };
  const own = { createPool, createPoolCluster };
  // A prototype instead of a copy, as some members of mysql2 are loaded on first access.
  return Object.assign(Object.create(mysql), own) as typeof Mysql;
}
