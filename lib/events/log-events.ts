import type { Observable } from 'rxjs';
import type { VaultEvent } from './events.js';
import { LogPolicy } from './log-policy.js';
import { write, type VaultLogger } from './logger.js';

/** Logs the events; no event contains a secret. */
export function logEvents(events$: Observable<VaultEvent>, logger: VaultLogger): void {
  const policy = new LogPolicy();
  events$.subscribe((event) => {
    for (const line of policy.lines(event)) write(logger, line);
  });
}
