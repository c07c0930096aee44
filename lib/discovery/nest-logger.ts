import { Logger, type LoggerService } from '@nestjs/common';
import { isPino } from '../events/logger.js';
import { membersOf, type VaultLogLine } from '../events/log-line.js';

/** Nest's logger for the lines of this package. */
export class NestLogger extends Logger {
  constructor() {
    super('VaultModule');
  }

  /**
   * The logger of the application. Nest asks for it when a line is written, after `bufferLogs`, so it may be another one
   * than at the event.
   */
  override get localInstance(): LoggerService {
    const logger = super.localInstance;
    return isNestjsPino(logger) ? textAsMessage(logger) : logger;
  }
}

/** Whether it is the `Logger` of nestjs-pino, which is not imported: most applications do not have it. */
function isNestjsPino(logger: unknown): logger is LoggerService {
  const { logger: wrapped } = (logger ?? {}) as { logger?: { logger?: unknown } };
  return isPino(wrapped?.logger);
}

/** nestjs-pino takes the fields first, the text after them, and the context last. */
function textAsMessage(logger: LoggerService): LoggerService {
  const method =
    (name: 'log' | 'warn' | 'error' | 'debug') =>
    (line: VaultLogLine, ...rest: unknown[]) =>
      logger[name]?.(membersOf(line), line.message, rest.at(-1));
  return { log: method('log'), warn: method('warn'), error: method('error'), debug: method('debug') };
}
