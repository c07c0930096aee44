export {
  createRotatingMongoClient,
  RotatingMongoClient,
  type RotatingMongoClientOptions,
} from './rotating-mongo-client.js';
export type { LoginCredentials } from '../rotation/login-credentials.js';
export type { PoolCounters, PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
export type { RotatingPool } from '../rotation/rotating-pool.js';
