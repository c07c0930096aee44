import type { Clock } from '../clock/clock.js';
import type { KeyedLimiter, Limiter } from '../clock/limiter.js';
import type { Scheduler } from '../clock/scheduler.js';
import type { ResolvedOptions } from '../config/resolved-options.js';
import type { Diagnostics } from '../events/diagnostics.js';
import type { EventInit } from '../events/events.js';
import type { Session } from '../session/session.js';
import type { ConnectionLink } from './connection-link.js';
import type { Engines } from '../engines/engines.js';

/** The dependencies of leases. */
export interface LeaseContext {
  session: Session;
  /** Passed in by the connection, because this folder knows no engine. */
  engines: Engines;
  /** For the pools that log in with these leases. */
  link: ConnectionLink;
  options: ResolvedOptions;
  clock: Clock;
  scheduler: Scheduler;
  diagnostics: Diagnostics;
  /** For requests that keep current credentials alive. */
  upkeep: Limiter;
  /** For issues and reads of new secrets; limited for each engine. */
  fetches: KeyedLimiter;
  /** Aborted during shutdown: nothing is issued any more. */
  signal: AbortSignal;
  /** Whether shutdown will revoke the tokens, and so their leases: then no lease is retired by itself. */
  revoking: () => boolean;
  emit: (event: EventInit) => void;
  changed: () => void;
  random: () => number;
}
