import { Logger } from '@nestjs/common';
import { runIsolated } from '../../clock/run-isolated.js';
import { printable } from '../../errors/printable.js';
import type { PoolCounters, PoolEvent } from './rotation-driver.js';

/** Counts, logs and emits the events of one pool. */
export class PoolEvents {
  readonly #logger: Logger;
  readonly #listener: (event: PoolEvent) => void;
  readonly #counters = {
    rotated: 0,
    'verification-failed': 0,
    refused: 0,
    'drain-timeout': 0,
    warning: 0,
  };

  /** @param name class name of the pool, the context of its log lines */
  constructor(name: string, listener: (event: PoolEvent) => void) {
    this.#logger = new Logger(name);
    this.#listener = listener;
  }

  /** A copy. */
  get counters(): PoolCounters {
    return { ...this.#counters };
  }

  emit(event: PoolEvent): void {
    this.#counters[event.type] += event.type === 'drain-timeout' ? event.count : 1;
    const line = logLine(event);
    if (line) runIsolated(() => this.#logger.warn(printable(line)));
    runIsolated(() => this.#listener(event));
  }
}

/** The log line for an operator; undefined for events of normal operation. */
function logLine(event: PoolEvent): string | undefined {
  const lease = `${event.path} #${event.serial}`;
  switch (event.type) {
    case 'rotated':
      return undefined;
    case 'verification-failed':
      return `Cannot log in with ${lease}: ${codeOf(event.error)}. Open connections stay in use; Vault is asked whether the lease is valid.`;
    case 'refused':
      return `The login with ${lease} was rejected; new credentials are requested.`;
    case 'drain-timeout':
      return `Closed ${event.count} connection(s) of ${lease} that were still in use at the end of the drain window.`;
    case 'warning':
      return `${lease}: ${event.message}`;
  }
}

/** The code or the name of an error. Messages of drivers may hold secrets, so they are not logged. */
function codeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return [code, name].find((one) => typeof one === 'string') ?? 'unknown error';
}
