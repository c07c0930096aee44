import { VaultError } from '../errors/vault-error.js';

/** A secret source that never comes back would keep everything from ever being issued again. */
export function sourceTooLong(source: string, limit: number): VaultError {
  return new VaultError({
    code: 'VAULT_TIMEOUT',
    message: `The login waits for a secret that has not come within ${seconds(limit)}: ${source} does not answer.`,
    hint: 'Look at that source: the server was not asked for a token. It is read again at the next login.',
  });
}

const seconds = (milliseconds: number) => `${Math.round(milliseconds / 100) / 10} s`;

/** The requests of a login together. */
export function loginTooLong(limit: number): VaultError {
  return new VaultError({
    code: 'VAULT_TIMEOUT',
    outcomeUnknown: true,
    message: `The login took longer than ${seconds(limit)}.`,
    hint: 'Look at the network, and at the load of the server.',
  });
}

/** The login was answered with a token that the server refused from the first request on. */
export function tokenRefused(path?: string): VaultError {
  return new VaultError({
    code: 'VAULT_TOKEN_INVALID',
    message: 'The token of a new login was refused at once.',
    hint:
      'Look at token_bound_cidrs of the role, or of the secret_id: this machine may use a token only from a network in it. ' +
      'Or several servers answer at `address` that do not share their tokens (two clusters behind one balancer), or ' +
      'somebody revoked it.',
    ...(path !== undefined && { status: 403, path }),
  });
}
