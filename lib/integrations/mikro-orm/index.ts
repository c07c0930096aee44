export { rotatingDriverOptions } from './rotating-driver-options.js';
export type { LibraryRotationOptions } from '../pg/library-options.js';
export type { LoginCredentials } from '../rotation/login-credentials.js';
export type { PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
