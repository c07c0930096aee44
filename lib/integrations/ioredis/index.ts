export { createRotatingRedis, RotatingRedis, type RotatingRedisOptions } from './rotating-ioredis.js';
export type { PoolCounters, PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
export type { LoginCredentials } from '../rotation/login-credentials.js';
