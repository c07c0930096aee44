import { VaultError } from '../../errors/vault-error.js';

/** For the user of a connection that was closed at the end of the drain window. */
export function supersededError(): VaultError {
  return new VaultError({
    code: 'VAULT_CREDENTIALS_EXPIRED',
    message:
      'The connection has been closed: newer credentials replaced its own, and the drain window ended.',
    hint:
      "Open another connection, which uses the current credentials. A long-lived connection emits 'superseded' before it is closed; " +
      'for longer transactions raise `drain`, and the TTL of the role.',
  });
}

/** For a pool whose stream of credentials completed. */
export function noCredentialsError(): VaultError {
  return new VaultError({
    code: 'VAULT_CLOSED',
    message: 'The stream of credentials has completed: there are none to connect with.',
    hint: 'Create the pool while the application runs, and use it no longer than that.',
  });
}

/** For a connection that is requested from a pool after its end. */
export function poolEndedError(): VaultError {
  return new VaultError({
    code: 'VAULT_CLOSED',
    message: 'The pool has been ended and opens no more connections.',
    hint: 'Create a new pool, or reopen the library where it can be reopened.',
  });
}
