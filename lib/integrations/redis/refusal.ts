import { VaultError } from '../../errors/vault-error.js';

/** What Redis answers to a user that is gone, or to a wrong password. */
const REFUSED = /\bWRONGPASS\b/;
/** What it answers to a command of a user without the right to it, or of none. */
const DENIED = /\b(NOAUTH|NOPERM)\b/;

/** Whether an error says that Redis does not let this user in. */
export function refuses(error: unknown): boolean {
  return error instanceof Error && REFUSED.test(error.message);
}

/** Whether an error says that Redis denies this user something, as credentials that are over would explain. */
export function denies(error: unknown): boolean {
  return error instanceof Error && DENIED.test(error.message);
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
