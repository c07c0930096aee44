import type { ApiClient } from '../client/api-client.js';
import type { Clock } from '../clock/clock.js';
import type { Scheduler } from '../clock/scheduler.js';
import type { ResolvedOptions } from '../config/resolved-options.js';
import type { Diagnostics } from '../events/diagnostics.js';
import type { EventInit } from '../events/events.js';
import type { AuthInUse } from './auth-in-use.js';

/** The dependencies of a session. */
export interface SessionContext {
  api: ApiClient;
  options: ResolvedOptions;
  auth: AuthInUse;
  clock: Clock;
  scheduler: Scheduler;
  diagnostics: Diagnostics;
  /** Aborted when shutdown begins. */
  signal: AbortSignal;
  emit: (event: EventInit) => void;
  changed: () => void;
  random: () => number;
}
