import { VaultError } from '../../errors/vault-error.js';

/** `AuthenticationFailed`. */
const REFUSED = 18;
/** `Unauthorized`: a user that is gone may do nothing any more; what was never allowed is answered the same. */
const DENIED = 13;

/** Whether an error says that MongoDB does not let this user in. */
export function refuses(error: unknown): boolean {
  return codeOf(error) === REFUSED;
}

/** Whether the error of an operation is a reason to check the credentials. */
export function isDoubtful(error: unknown): boolean {
  const code = codeOf(error);
  return code === REFUSED || code === DENIED;
}

function codeOf(error: unknown): unknown {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: unknown };
  return code ?? (cause as { code?: unknown } | undefined)?.code;
}

export function rejected(path = 'unknown path'): VaultError {
  return new VaultError({
    code: 'VAULT_CREDENTIALS_REJECTED',
    message: `MongoDB refuses the credentials issued at ${path} (18 AuthenticationFailed).`,
    hint:
      'The lease may be over, the server issues users on another MongoDB, or they are kept in another database: ' +
      "set `authSource` to the `db` of the role's creation_statements.",
    path,
  });
}
