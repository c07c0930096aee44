import mysql, { type ConnectionOptions, type PoolOptions } from 'mysql2';
import type { RotationOptions } from '../rotation/rotation-driver.js';

/** Options that would override the leased credentials. @inline */
type CredentialOptions = 'user' | 'password' | 'password1' | 'passwordSha1' | 'uri';

/**
 * The options of `mysql2.createPool`, without credentials.
 *
 * @publicApi
 */
export type RotatingMysqlPoolConfig = Omit<PoolOptions, CredentialOptions> & RotationOptions;

/** The config that mysql2 derives from options; its types leave out the members. */
export interface PoolConfig {
  connectionConfig: ConnectionOptions;
}

/** Derives a config by way of a pool, as mysql2 exports no function for it. */
export function poolConfigOf(options: PoolOptions): PoolConfig {
  const pool = mysql.createPool(options);
  pool.end();
  return pool.config as unknown as PoolConfig;
}
