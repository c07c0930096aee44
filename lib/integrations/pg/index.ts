export { createRotatingPool, RotatingPool, type RotatingPoolConfig } from './rotating-pool.js';
export type { PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
