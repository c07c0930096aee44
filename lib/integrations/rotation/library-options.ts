import type { PoolEvent, RotationOptions } from './rotation-driver.js';

/**
 * Options for a library that creates its connections itself.
 *
 * @publicApi
 */
export interface LibraryRotationOptions extends RotationOptions {
  /** Called for each event, as the application has no pool to listen to. */
  onRotation?: (event: PoolEvent) => void;
}
