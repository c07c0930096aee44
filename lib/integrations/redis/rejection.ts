import { VaultError } from '../../errors/vault-error.js';

/** The error of Redis for a deleted user or a wrong password. */
const REJECTED = /\bWRONGPASS\b/;
/** The errors of Redis for a command that the user may not run, and for a command without a login. */
const DENIED = /\b(NOAUTH|NOPERM)\b/;

/** Whether an error proves that Redis rejected the login. */
export function isLoginRejected(error: unknown): boolean {
  return error instanceof Error && REJECTED.test(error.message);
}

/** Whether Redis denied a command, as it also does after the user was deleted. */
export function isPermissionDenied(error: unknown): boolean {
  return error instanceof Error && DENIED.test(error.message);
}

export function rejectedError(path = 'unknown path'): VaultError {
  return new VaultError({
    code: 'VAULT_CREDENTIALS_REJECTED',
    message: `Redis rejected the credentials issued at ${path} (WRONGPASS).`,
    hint:
      'The lease may have ended, or Vault issues users on another Redis: compare host and port here with the ' +
      'config of the engine. Redis loses users that it does not persist when it restarts.',
    path,
  });
}
