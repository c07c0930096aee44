export {
  rotatingRedisCredentials,
  RotatingRedisCredentials,
  type RotatingRedisCredentialsOptions,
} from './rotating-credentials.js';
export type { ConnectOptions } from './verify-login.js';
export { createRotatingRedisClient } from './rotating-client.js';
export type { PoolCounters, PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
export type { LoginCredentials } from '../rotation/login-credentials.js';
