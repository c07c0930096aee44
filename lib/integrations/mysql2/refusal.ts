import { VaultError } from '../../errors/vault-error.js';

/** A user who is gone, a wrong password (1045, 1698), an account that is locked (MySQL 3118, MariaDB 4151). */
const REFUSED = new Set([1045, 1698, 3118, 4151]);
/** The user is known, but has no rights on the database that the pool names. */
const NO_DATABASE = 1044;
/**
 * What else a user who is gone would explain: no rights on a database, a table (1142), a column (1143), a routine
 * (1370), or none of the global ones (1227). A statement that was never allowed is answered the same.
 */
const DOUBTFUL = new Set([...REFUSED, NO_DATABASE, 1142, 1143, 1227, 1370]);

/** The number of the server's error, where it is one of the server's. */
function numberOf(error: unknown): number {
  return Number((error as { errno?: unknown } | null)?.errno);
}

/** Whether an error says that the server does not let this user in. */
export function refuses(error: unknown): boolean {
  return REFUSED.has(numberOf(error));
}

/** Whether an error says that the user was let in, but not to this database. */
export function deniesDatabase(error: unknown): boolean {
  return numberOf(error) === NO_DATABASE;
}

/**
 * Whether a user who is gone would explain an error with this number. A proxy that keeps our connection tells of its own
 * one to the server with numbers of a client library (2000 to 2999), or of ProxySQL (9000 to 9999); no server sends those.
 */
export function isDoubtful(number: number): boolean {
  const ofProxy = (number >= 2_000 && number < 3_000) || (number >= 9_000 && number < 10_000);
  return ofProxy || DOUBTFUL.has(number);
}

/** What to tell where the first credentials cannot log in. */
export function rejected(error: unknown, path: string): VaultError {
  const hint = deniesDatabase(error)
    ? 'The user was let in, but has no rights on the `database` of the pool: correct its name, or add a GRANT on it ' +
      "to the role's creation_statements."
    : 'The lease may be over, or the server issues users for another database: compare host and port here with the ' +
      "connection_url of the engine, and the creation_statements of the role (IDENTIFIED BY, and '%' as the host).";
  return new VaultError({
    code: 'VAULT_CREDENTIALS_REJECTED',
    message: `The database refuses the credentials issued at ${path} (error ${numberOf(error)}).`,
    hint,
    path,
  });
}
