import type { Observable } from 'rxjs';
import { VaultError, type VaultErrorCode } from '../../lib/errors/vault-error.js';
import type { VaultEvent } from '../../lib/events/events.js';
import { logEvents } from '../../lib/events/log-events.js';
import { levelOf, type VaultLogLine } from '../../lib/events/log-line.js';
import type { VaultLogger } from '../../lib/events/logger.js';

/** Keeps all lines of a connection. */
export class KeptLines implements VaultLogger {
  readonly all: VaultLogLine[] = [];

  constructor(events$?: Observable<VaultEvent>) {
    if (events$) logEvents(events$, this);
  }

  readonly debug = (line: VaultLogLine): void => void this.all.push(line);
  readonly log = this.debug;
  readonly warn = this.debug;
  readonly error = this.debug;

  /** The lines that an operator sees at the level `log`. */
  get shown(): VaultLogLine[] {
    return this.all.filter((line) => levelOf(line) !== 'debug');
  }

  /** Number of shown lines by code; forgets them. */
  take(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { code } of this.shown) counts[code] = (counts[code] ?? 0) + 1;
    this.all.length = 0;
    return counts;
  }
}

/** An error of a request to a path. */
export function failureAt(code: VaultErrorCode, path: string, status = 500): VaultError {
  return new VaultError({ code, message: `It failed at ${path}.`, hint: 'Wait.', path, status });
}
