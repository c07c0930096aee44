export { createRotatingPool, RotatingPool, type RotatingPromisePool } from './rotating-pool.js';
export type { RotatingPoolConfig } from './pool-config.js';
export { rotatingMysql } from './rotating-driver.js';
export { knexPool, type KnexPool } from './knex-pool.js';
export type { LibraryRotationOptions } from '../rotation/library-options.js';
export type { LoginCredentials } from '../rotation/login-credentials.js';
export type { PoolCounters, PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
