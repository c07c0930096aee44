export {
  createRotatingMysqlPool,
  RotatingMysqlPool,
  type RotatingMysqlPromisePool,
} from './rotating-pool.js';
export type { RotatingMysqlPoolConfig } from './pool-config.js';
export { rotatingMysqlDriver } from './rotating-driver.js';
export { knexPool, type KnexPool } from './knex-pool.js';
export type { LibraryRotationOptions } from '../rotation/library-options.js';
export type { LoginCredentials } from '../rotation/login-credentials.js';
export type { PoolCounters, PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
export type { RotatingPool } from '../rotation/rotating-pool.js';
