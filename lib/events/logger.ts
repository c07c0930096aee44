/**
 * Receives the log lines of a connection: `console`, a logger of pino or winston, or Nest's `Logger`. Each line is one
 * string without a secret.
 *
 * @publicApi
 */
export interface VaultLogger {
  error(line: string): void;
  warn(line: string): void;
  /** Logins, rotations, the end of a token. Without it, these lines go to `log`. */
  info?(line: string): void;
  log?(line: string): void;
  /** Renewals. */
  debug?(line: string): void;
}
