import type { Clock } from '../clock/clock.js';
import type { KeyedLimiter, Limiter } from '../clock/limiter.js';
import type { Scheduler } from '../clock/scheduler.js';
import type { ResolvedOptions } from '../config/resolved-options.js';
import type { EventInit } from '../events/events.js';
import type { Session } from '../session/session.js';
import type { EngineOf } from './engine.js';

/** What leases need from the outside. */
export interface LeaseContext {
  session: Session;
  /** Leases know no engine; the connection brings the knowledge of them all. */
  engineOf: EngineOf;
  options: ResolvedOptions;
  clock: Clock;
  scheduler: Scheduler;
  /** For what keeps credentials in use alive. */
  upkeep: Limiter;
  /** For new issues and reads, by engine. */
  fetches: KeyedLimiter;
  /** Aborted when shutdown begins to take things down: nothing new is issued then. */
  signal: AbortSignal;
  /** The tokens are about to be revoked, leases and all: no lease need be ended by itself. */
  revoking: () => boolean;
  emit: (event: EventInit) => void;
  changed: () => void;
  random: () => number;
}
