export { rotatingMikroOrmOptions } from './rotating-options.js';
export type { LibraryRotationOptions } from '../rotation/library-options.js';
export type { LoginCredentials } from '../rotation/login-credentials.js';
export type { PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
