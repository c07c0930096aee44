import { VaultError } from '../errors/vault-error.js';

/** Ends the wait for a secret source: otherwise a hanging source would block every later login. */
export function sourceTooLong(source: string, limit: number): VaultError {
  return new VaultError({
    code: 'VAULT_TIMEOUT',
    message: `The login waits for a secret that has not come within ${seconds(limit)}: ${source} does not answer.`,
    hint: 'Check that source: no login request was sent. The source is read again at the next login.',
  });
}

const seconds = (milliseconds: number) => `${Math.round(milliseconds / 100) / 10} s`;

/** All requests of a login took longer than the limit. */
export function loginTooLong(limit: number): VaultError {
  return new VaultError({
    code: 'VAULT_TIMEOUT',
    outcomeUnknown: true,
    message: `The login took longer than ${seconds(limit)}.`,
    hint: 'Check the network and the load of the server.',
  });
}

/** The server refused the token of a login from the first request on. */
export function tokenRefused(path?: string): VaultError {
  return new VaultError({
    code: 'VAULT_TOKEN_INVALID',
    message: 'The token of a new login was refused at once.',
    hint:
      'Look at token_bound_cidrs of the role, or of the secret of the login: this machine may use a token only from a network in it. ' +
      'Or several servers answer at `address` that do not share their tokens (two clusters behind one balancer), or ' +
      'an operator revoked the token.',
    ...(path !== undefined && { status: 403, path }),
  });
}
