import { VaultError } from '../errors/vault-error.js';

/** A secret source that never comes back would keep everything from ever being issued again. */
export function loginTooLong(limit: number): VaultError {
  return new VaultError({
    code: 'VAULT_TIMEOUT',
    answerLost: true,
    message: `The login took longer than ${Math.round(limit / 1_000)} s.`,
    hint: 'Look at the source of the secret: a function or a file that does not come back. It is tried again.',
  });
}

/** The login was answered with a token that the server refused from the first request on. */
export function tokenRefused(): VaultError {
  return new VaultError({
    code: 'VAULT_TOKEN_INVALID',
    message: 'The token of a new login was refused at once.',
    hint:
      'Several servers may answer at `address` that do not share their tokens (two clusters behind one balancer), or ' +
      'somebody revoked it. It is tried again, ever more rarely.',
  });
}
