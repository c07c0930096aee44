import mysql, { type ConnectionOptions, type PoolOptions } from 'mysql2';
import { VaultError } from '../../errors/vault-error.js';
import type { RotationOptions } from '../rotation/rotation-driver.js';

/** What would take the place of the leased credentials. */
const CREDENTIALS = ['user', 'password', 'password1', 'passwordSha1', 'uri'] as const;

/**
 * What `mysql2.createPool` takes, but for the credentials.
 *
 * @publicApi
 */
export type RotatingPoolConfig = Omit<PoolOptions, (typeof CREDENTIALS)[number]> & RotationOptions;

/** What mysql2 makes of options; its types leave out what is inside. */
export interface PoolConfig {
  connectionConfig: ConnectionOptions;
}

/** mysql2 does not export what makes a config of options, but for a pool. */
export function poolConfigOf(options: PoolOptions): PoolConfig {
  const pool = mysql.createPool(options);
  pool.end();
  return pool.config as unknown as PoolConfig;
}

export function withoutCredentials(config: RotatingPoolConfig): RotatingPoolConfig {
  const given = typeof config === 'string' ? { uri: config } : (config as PoolOptions);
  for (const key of CREDENTIALS) {
    if (given[key] === undefined) continue;
    throw new VaultError({
      code: 'VAULT_CONFIG_INVALID',
      message: `The config of a rotating pool names \`${key}\`, where the leased credentials belong.`,
      hint: 'Give `host`, `port`, `database` and `ssl` separately, and no user name, password or URL: they come from the stream.',
    });
  }
  return config;
}
