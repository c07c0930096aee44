/** The levels of lines, as Nest names them. */
export type LogLevel = 'debug' | 'log' | 'warn' | 'error';

/**
 * Every line that this package logs, by its code, with its level. A line that says nothing new (a repeated failure, a
 * renewal every few seconds) has the level `debug` instead. `docs/log-lines.md` lists each with its meaning and remedy.
 */
export const LOG_LINES = {
  // the token
  login: 'log',
  'login-failed': 'warn',
  'token-renewed': 'log',
  'token-renewal-failed': 'warn',
  'token-ended': 'log',
  'token-revoke-failed': 'warn',
  'auth-method-notice': 'log',
  'auth-method-warning': 'warn',
  'login-input-kept': 'warn',
  'login-input-not-deleted': 'warn',
  'several-agents': 'warn',
  // leases
  issued: 'log',
  renewed: 'log',
  'renewal-failed': 'warn',
  rotated: 'log',
  'rotation-failed': 'warn',
  drained: 'debug',
  retired: 'log',
  expired: 'error',
  'renewal-denied': 'warn',
  'drain-too-long': 'warn',
  'lease-cut-short': 'warn',
  'issue-limit': 'warn',
  'engine-failed': 'warn',
  // watched KV secrets, and the configuration
  'secret-changed': 'log',
  'secret-read-failed': 'warn',
  'secret-recovered': 'log',
  'secret-gone': 'error',
  'secret-invalid': 'error',
  'folder-entry-skipped': 'warn',
  'configuration-defaults': 'warn',
  'configuration-kept': 'warn',
  'configuration-too-late': 'error',
  // the server, and the way to it
  'vault-unreachable': 'warn',
  'vault-recovered': 'log',
  'failures-ended': 'log',
  'server-warning': 'warn',
  'not-encrypted': 'warn',
  'simulated-server': 'warn',
  'tls-reloaded': 'log',
  'tls-files-ignored': 'warn',
  // pools
  'pool-verification-failed': 'warn',
  'pool-refused': 'warn',
  'pool-drain-timeout': 'warn',
  'pool-warning': 'warn',
  // the application
  'no-signal-listener': 'warn',
  'start-slow': 'error',
  'rotation-method-failed': 'error',
  'rotation-method-unread': 'error',
  'rotation-method-late': 'error',
  'rotation-method-scoped': 'warn',
  released: 'debug',
  closing: 'debug',
  closed: 'debug',
} as const satisfies Record<string, LogLevel>;

/**
 * The code of a log line. Codes are stable: match on them, never on texts. `docs/log-lines.md` lists each with its level,
 * its meaning and what to do. They are written unlike the codes of errors, which a line has as `errorCode`.
 *
 * @publicApi
 */
export type VaultLogCode = keyof typeof LOG_LINES;

/** The code of a `warning` event: the kind of the problem. @inline */
export type WarningCode = Extract<
  VaultLogCode,
  | 'auth-method-warning'
  | 'configuration-kept'
  | 'drain-too-long'
  | 'engine-failed'
  | 'folder-entry-skipped'
  | 'issue-limit'
  | 'lease-cut-short'
  | 'login-input-kept'
  | 'login-input-not-deleted'
  | 'not-encrypted'
  | 'renewal-denied'
  | 'server-warning'
  | 'several-agents'
  | 'simulated-server'
  | 'tls-files-ignored'
>;
