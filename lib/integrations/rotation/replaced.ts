import { VaultError } from '../../errors/vault-error.js';

/** For the user of a connection that was closed at the end of the drain window. */
export function replaced(): VaultError {
  return new VaultError({
    code: 'VAULT_CREDENTIALS_EXPIRED',
    message:
      'The connection has been closed: other credentials have taken the place of those that it was opened with.',
    hint:
      "Open another one, which uses the current credentials. A connection that is kept is told in time by 'superseded'; " +
      'for longer transactions raise `drain`, and the TTL of the role.',
  });
}
