export { createRotatingIoredis, RotatingIoredis, type RotatingIoredisOptions } from './rotating-ioredis.js';
export type { PoolCounters, PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
export type { RotatingPool } from '../rotation/rotating-pool.js';
export type { LoginCredentials } from '../rotation/login-credentials.js';
