import type { ClientBase } from 'pg';
import { SEPARATELY, type PoolKind } from '../rotation/pool-kind.js';

/** SQLSTATEs of PostgreSQL for a user that was dropped, or a wrong password. */
const REJECTED = new Set(['28P01', '28000']);
/**
 * SQLSTATEs that a dropped user also causes: it lost its privileges (42501), or its name is unknown (42704). A statement
 * that was never allowed has the same.
 */
const SUGGESTS_DROPPED_USER = new Set([...REJECTED, '42501', '42704']);
/** Errors that a server or pooler sent instead of accepting the password. */
const passwordRejections = new WeakSet<object>();

/** pg's own connection, which its types leave out. */
type Protocol = NodeJS.EventEmitter;

/**
 * Whether an error proves that the login was rejected: by the SQLSTATE of PostgreSQL, or because it came during an
 * exchange that {@link watchLogin} watches, as poolers use codes of their own.
 */
export function isLoginRejected(error: unknown): boolean {
  return REJECTED.has(codeOf(error)) || passwordRejections.has(error as object);
}

export const PG: PoolKind = {
  packages: ['pg'],
  credentials: ['user', 'password', 'connectionString'],
  credentialsHint: SEPARATELY,
  server: 'PostgreSQL',
  isLoginRejected,
  reasonOf: (error) => `SQLSTATE ${codeOf(error)}`,
  rejectedHint: () =>
    'The lease may have ended, or Vault issues users for another database: compare host and port here with the ' +
    'connection_url of the engine, and the creation_statements of the role (LOGIN, PASSWORD); check pg_hba.conf.',
};

/** Whether the error of a statement is a reason to verify the credentials. */
export function suggestsDroppedUser(error: unknown): boolean {
  return SUGGESTS_DROPPED_USER.has(codeOf(error));
}

/**
 * Records errors that reject the password. The SASL exchange (SCRAM) is about the password alone: it begins after the
 * database has looked the user up, and ends before a pooler connects to anything. The older exchanges have no such end.
 */
export function watchLogin(client: ClientBase): void {
  const { connection } = client as unknown as { connection: Protocol };
  let inExchange = false;
  connection.on('authenticationSASL', () => (inExchange = true));
  connection.on('authenticationSASLFinal', () => (inExchange = false));
  connection.on('errorMessage', (error: object) => {
    if (inExchange) passwordRejections.add(error);
  });
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code);
}
