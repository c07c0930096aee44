import type { Sender } from './client/transport.js';
import type { Clock } from './clock/clock.js';

/** Time and network, where a test puts others in their place. */
export interface Environment {
  clock?: Clock;
  transport?: () => Sender;
}

/** Token of an {@link Environment}, which a testing module provides. */
export const ENVIRONMENT_TOKEN = 'VAULT:ENVIRONMENT';
