import { SEPARATELY, type PoolKind } from '../rotation/pool-kind.js';

/**
 * Error numbers for a dropped user or a wrong password (1045, 1698), and a locked account (MySQL 3118, MariaDB 4151).
 */
const REJECTED = new Set([1045, 1698, 3118, 4151]);
/** The login succeeded, but the user has no rights on the database of the pool. */
const NO_DATABASE = 1044;
/**
 * Numbers that a dropped user also causes: no rights on a database, a table (1142), a column (1143), a routine
 * (1370), or a missing global one (1227). A statement that was never allowed has the same.
 */
const SUGGESTS_DROPPED_USER = new Set([...REJECTED, NO_DATABASE, 1142, 1143, 1227, 1370]);

/** The error number of the server; NaN for any other error. */
function numberOf(error: unknown): number {
  return Number((error as { errno?: unknown } | null)?.errno);
}

/** Whether an error proves that the server rejected the login. */
export function isLoginRejected(error: unknown): boolean {
  return REJECTED.has(numberOf(error));
}

/** Whether the login succeeded, but the user may not use this database. */
export function isDatabaseDenied(error: unknown): boolean {
  return numberOf(error) === NO_DATABASE;
}

/**
 * Whether a dropped user may have caused an error with this number. A proxy that loses its own connection to the server
 * reports that with numbers of a client library (2000 to 2999) or of ProxySQL (9000 to 9999), which no server sends.
 */
export function suggestsDroppedUser(number: number): boolean {
  const ofProxy = (number >= 2_000 && number < 3_000) || (number >= 9_000 && number < 10_000);
  return ofProxy || SUGGESTS_DROPPED_USER.has(number);
}

export const MYSQL2: PoolKind = {
  packages: ['mysql2'],
  credentials: ['user', 'password', 'password1', 'passwordSha1', 'uri'],
  credentialsHint: SEPARATELY,
  server: 'The database',
  isLoginRejected,
  isFirstLoginRejected: (error) => isLoginRejected(error) || isDatabaseDenied(error),
  reasonOf: (error) => `error ${numberOf(error)}`,
  rejectedHint: (error) =>
    isDatabaseDenied(error)
      ? 'The login succeeded, but the user has no rights on the `database` of the pool: correct its name, or add a GRANT on it ' +
        "to the role's creation_statements."
      : 'The lease may have ended, or Vault issues users for another database: compare host and port here with the ' +
        "connection_url of the engine, and the creation_statements of the role (IDENTIFIED BY, and '%' as the host).",
};
