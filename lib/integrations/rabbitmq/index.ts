export {
  createRotatingAmqpConnection,
  RotatingAmqpConnection,
  type RotatingAmqpConnectionOptions,
} from './rotating-connection.js';
export type { PoolCounters, PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
export type { RotatingPool } from '../rotation/rotating-pool.js';
export type { LoginCredentials } from '../rotation/login-credentials.js';
