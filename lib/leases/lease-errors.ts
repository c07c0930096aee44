import { VaultError } from '../errors/vault-error.js';

/** The lease expired before its answer arrived: the process was suspended, or the server took longer than the TTL. */
export function late(path: string): VaultError {
  return new VaultError({
    code: 'VAULT_TIMEOUT',
    outcomeUnknown: true,
    message: `The lease of ${path} had expired when the answer arrived.`,
    hint: 'If it persists, raise the TTL of the role, or find what blocks the process.',
    path,
  });
}

/** The last credential has expired, and there is no new one. */
export function expired(path: string, last: VaultError | undefined): VaultError {
  return new VaultError({
    code: 'VAULT_CREDENTIALS_EXPIRED',
    message: `There is no valid credential of ${path} now.`,
    hint: last ? `The last attempt failed: ${last.hint}` : 'A new one is being issued; try again shortly.',
    path,
    ...(last && { cause: last }),
  });
}

/** The first credential was not issued in time. */
export function noneYet(path: string): VaultError {
  return new VaultError({
    code: 'VAULT_TIMEOUT',
    message: `No credential was issued at ${path} in time.`,
    hint: 'The request continues. Check the load of the server, or raise the `timeout` of the connection.',
    path,
  });
}

/** The server has not rotated a static role in time. */
export function notRotated(path: string): VaultError {
  return new VaultError({
    code: 'VAULT_ROTATION_OVERDUE',
    message: `The server has not rotated ${path}, although the rotation is due.`,
    hint:
      "Check the server's log: the system behind the engine may be unreachable, or refuse the change. The previous credential stays " +
      'in use, and is read again until it changes.',
    path,
  });
}
