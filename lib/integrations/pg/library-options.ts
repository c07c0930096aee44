import type { PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';

/**
 * Options of what is handed to a library that makes its connections by itself.
 *
 * @publicApi
 */
export interface LibraryRotationOptions extends RotationOptions {
  /** Called with what happens over time, where no pool is at hand to listen to. */
  onRotation?: (event: PoolEvent) => void;
}
