export { createRotatingRedis, RotatingRedis, type RotatingRedisOptions } from './rotating-redis.js';
export type { PoolCounters, PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
export type { LoginCredentials } from '../rotation/login-credentials.js';
