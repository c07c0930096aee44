export {
  rotatingCredentials,
  RotatingCredentials,
  type RotatingCredentialsOptions,
} from './rotating-credentials.js';
export type { ConnectOptions } from './verify-login.js';
export { createRotatingClient } from './rotating-client.js';
export type { PoolCounters, PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
export type { LoginCredentials } from '../rotation/login-credentials.js';
