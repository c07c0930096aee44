/**
 * Receives the log lines of a connection: `console`, a logger of pino or winston, or Nest's `Logger`. Each line is one
 * string without a secret.
 *
 * @publicApi
 */
export interface VaultLogger {
  /** Needs a person. */
  error(line: string): void;
  /** May become an error. */
  warn(line: string): void;
  /** Logins, rotations, the end of a token. Without it, these lines go to `log`. */
  info?(line: string): void;
  /** The rest; without `info`, its lines, too. */
  log?(line: string): void;
  /** Renewals. */
  debug?(line: string): void;
}
