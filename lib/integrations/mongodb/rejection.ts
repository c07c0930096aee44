import type { PoolKind } from '../rotation/pool-kind.js';

/** `AuthenticationFailed`. */
const REJECTED = 18;
/** `Unauthorized`: a dropped user has no rights. An operation that was never allowed has the same code. */
const DENIED = 13;

/** Whether an error proves that MongoDB rejected the login. */
export function isLoginRejected(error: unknown): boolean {
  return codeOf(error) === REJECTED;
}

/** Whether the error of an operation is a reason to verify the credentials. */
export function suggestsDroppedUser(error: unknown): boolean {
  const code = codeOf(error);
  return code === REJECTED || code === DENIED;
}

function codeOf(error: unknown): unknown {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: unknown };
  return code ?? (cause as { code?: unknown } | undefined)?.code;
}

export const MONGODB: PoolKind = {
  packages: ['mongodb'],
  credentials: ['auth'],
  credentialsHint:
    'Give the URL as `mongodb://host:27017/app`, and no `auth`: user and password come from the stream.',
  server: 'MongoDB',
  isLoginRejected,
  reasonOf: () => '18 AuthenticationFailed',
  rejectedHint: () =>
    'The lease may have ended, Vault issues users on another MongoDB, or MongoDB keeps them in another database: ' +
    "set `authSource` to the `db` of the role's creation_statements.",
};
