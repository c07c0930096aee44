import type { Sender } from './client/transport.types.js';
import type { Clock } from './clock/clock.js';

/** Clock and transport that a test provides in place of the real ones. */
export interface Environment {
  clock?: Clock;
  transport?: () => Sender;
}

/** Token of an {@link Environment}, which a testing module provides. */
export const ENVIRONMENT_TOKEN = 'VAULT:ENVIRONMENT';
