export { createRotatingPool, RotatingPool } from './rotating-pool.js';
export type { RotatingPoolConfig } from './pool-config.js';
export type { RotatingPromisePool } from './promise-pool.js';
export { rotatingMysql } from './rotating-mysql.js';
export { knexPool, type KnexPool } from './knex-pool.js';
export type { LibraryRotationOptions } from '../pg/library-options.js';
export type { LoginCredentials } from '../rotation/login-credentials.js';
export type { PoolCounters, PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
