import { classOf } from '../errors/printable.js';
import { levelOf, membersOf, type VaultLogLine } from './log-line.js';

/**
 * Receives the log lines of a connection: `console`, a logger of pino or winston, or Nest's `Logger`. Each line is a
 * {@link VaultLogLine} without a secret; `String(line)` is its text.
 *
 * @publicApi
 */
export interface VaultLogger {
  /** Needs a person. */
  error(line: VaultLogLine): void;
  /** May become an error. */
  warn(line: VaultLogLine): void;
  /** Logins, renewals, rotations, the end of a token. */
  info?(line: VaultLogLine): void;
  /** The same, for a logger without `info`. It has no type, because that of winston takes a level first. */
  log?(...line: any[]): void;
  /** Details, and repeated failures. */
  debug?(line: VaultLogLine): void;
}

/** Every logger of pino has it, at every version. */
const PINO = Symbol.for('pino.serializers');

export function isPino(logger: unknown): boolean {
  return typeof logger === 'object' && logger !== null && PINO in logger;
}

/** Writes a line. A logger that throws, or whose promise rejects, harms no connection. */
export function write(logger: VaultLogger, line: VaultLogLine): void {
  const level = levelOf(line);
  const name = level === 'log' && logger.info ? 'info' : level;
  const methods = logger as unknown as Record<string, ((...args: unknown[]) => unknown) | undefined>;
  const failed = (error: unknown) =>
    process.emitWarning(`The logger of nestjs-vault threw ${classOf(error)}. Its line: ${line.message}`);
  try {
    // pino takes the members first, and names the text as its options say.
    const written = isPino(logger) ? methods[name]?.(membersOf(line), line.message) : methods[name]?.(line);
    if (written instanceof Promise) written.catch(failed);
  } catch (error) {
    failed(error);
  }
}
