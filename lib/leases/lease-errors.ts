import { VaultError } from '../errors/vault-error.js';

/** Nobody can use that any more: the process stood still meanwhile, or the server took longer than it grants. */
export function late(path: string): VaultError {
  return new VaultError({
    code: 'VAULT_TIMEOUT',
    outcomeUnknown: true,
    message: `What ${path} answered was over when it arrived.`,
    hint: 'If it persists, raise the TTL of the role, or find what holds the process up.',
    path,
  });
}

/** There was one, and there is none now. */
export function expired(path: string, last: VaultError | undefined): VaultError {
  return new VaultError({
    code: 'VAULT_CREDENTIALS_EXPIRED',
    message: `There is no valid credential of ${path} now.`,
    hint: last ? `The last try failed: ${last.hint}` : 'A new one is being issued; try again shortly.',
    path,
    ...(last && { cause: last }),
  });
}

/** The first one is not there yet. */
export function noneYet(path: string): VaultError {
  return new VaultError({
    code: 'VAULT_TIMEOUT',
    message: `Nothing was issued at ${path} in time.`,
    hint: 'It is still being asked for: check the load of the server, or raise the `timeout` of the connection.',
    path,
  });
}

/** The server goes on with the secret that it was to put another one in the place of. */
export function notRotated(path: string): VaultError {
  return new VaultError({
    code: 'VAULT_ROTATION_OVERDUE',
    message: `The server has not rotated ${path}, although that is due.`,
    hint:
      "Look into the server's log: its database may be out of reach, or refuse the change. The credential from before " +
      'stays in use, and is read again until it has changed.',
    path,
  });
}
