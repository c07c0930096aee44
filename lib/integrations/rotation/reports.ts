import { Logger } from '@nestjs/common';
import { apart } from '../../clock/apart.js';
import { printable } from '../../errors/printable.js';
import type { PoolCounters, PoolEvent } from './rotation-driver.js';

/** What happens to one pool over time: for the log, for metrics, and for whoever listens. */
export class Reports {
  readonly #logger: Logger;
  readonly #listener: (event: PoolEvent) => void;
  readonly #counters = { rotated: 0, 'verification-failed': 0, refused: 0, 'drain-timeout': 0, warning: 0 };

  /** @param name of the class, for the log */
  constructor(name: string, listener: (event: PoolEvent) => void) {
    this.#logger = new Logger(name);
    this.#listener = listener;
  }

  /** A copy. */
  get counters(): PoolCounters {
    return { ...this.#counters };
  }

  tell(event: PoolEvent): void {
    this.#counters[event.type] += event.type === 'drain-timeout' ? event.count : 1;
    const line = describe(event);
    if (line) apart(() => this.#logger.warn(printable(line)));
    apart(() => this.#listener(event));
  }
}

/** A line for the log, where an operator should know. */
function describe(event: PoolEvent): string | undefined {
  const about = `${event.path} #${event.serial}`;
  switch (event.type) {
    case 'rotated':
      return undefined;
    case 'verification-failed':
      return `${about} cannot log in: ${codeOf(event.error)}. Open connections stay in use; the server is asked whether the lease lives.`;
    case 'refused':
      return `The server refuses ${about}; new credentials are asked for.`;
    case 'drain-timeout':
      return `${event.count} connection(s) of ${about} were in use past the drain window, and were closed.`;
    case 'warning':
      return `${about}: ${event.message}`;
  }
}

/** Drivers put what they like into their messages, so only the code is told. */
function codeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return [code, name].find((one) => typeof one === 'string') ?? 'unknown error';
}
