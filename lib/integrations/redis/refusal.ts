import { VaultError } from '../../errors/vault-error.js';

/** What Redis answers to a user that is gone, or to a wrong password. */
const REFUSED = /\bWRONGPASS\b/;
/** What else credentials that are over would explain; a command that was never allowed is answered the same. */
const DOUBTFUL = /\b(WRONGPASS|NOAUTH|NOPERM)\b/;

/** Whether an error says that Redis does not let this user in. */
export function refuses(error: unknown): boolean {
  return error instanceof Error && REFUSED.test(error.message);
}

/** Whether an error is a reason to check the credentials. */
export function doubtful(error: unknown): boolean {
  return error instanceof Error && DOUBTFUL.test(error.message);
}

export function rejected(path = 'unknown path'): VaultError {
  return new VaultError({
    code: 'VAULT_CREDENTIALS_REJECTED',
    message: `Redis refuses the credentials issued at ${path} (WRONGPASS).`,
    hint:
      'The lease may be over, or the server issues users on another Redis: compare host and port here with the ' +
      'config of the engine. Users that Redis does not persist are gone when it restarts.',
    path,
  });
}
