import mysql, { type ConnectionOptions, type PoolOptions } from 'mysql2';
import { VaultError } from '../../errors/vault-error.js';
import type { RotationOptions } from '../rotation/rotation-driver.js';

/** The options of mysql2 that would override the leased credentials. */
const CREDENTIALS = ['user', 'password', 'password1', 'passwordSha1', 'uri'] as const;

/**
 * The options of `mysql2.createPool`, without credentials.
 *
 * @publicApi
 */
export type RotatingMysqlPoolConfig = Omit<PoolOptions, (typeof CREDENTIALS)[number]> & RotationOptions;

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

export function refuseCredentials(config: RotatingMysqlPoolConfig): RotatingMysqlPoolConfig {
  const given = typeof config === 'string' ? { uri: config } : (config as PoolOptions);
  for (const key of CREDENTIALS) {
    if (given[key] === undefined) continue;
    throw new VaultError({
      code: 'VAULT_CONFIG_INVALID',
      message: `The config of a rotating pool names \`${key}\`, which would override the leased credentials.`,
      hint: 'Give `host`, `port`, `database` and `ssl` separately, and no user name, password or URL: they come from the stream.',
    });
  }
  return config;
}
