import { classOf } from './printable.js';
import { isTransient, VaultError, withSentence } from './vault-error.js';

/**
 * Asked for after shutdown began.
 *
 * @param answerLost it was under way by then
 */
export function closed(path?: string, answerLost = false): VaultError {
  return new VaultError({
    code: 'VAULT_CLOSED',
    message: 'The connection is closed: the application is shutting down.',
    hint: 'Ask for secrets before shutdown begins; after it the application holds none.',
    ...(path !== undefined && { path }),
    answerLost,
  });
}

/**
 * Its signal was aborted: by the caller, or because shutdown has begun.
 *
 * @param answerLost it may have reached the server
 */
export function aborted(path: string, answerLost: boolean): VaultError {
  return new VaultError({
    answerLost,
    code: 'VAULT_CLOSED',
    message: 'The request was aborted.',
    hint: 'Its caller no longer waits for it, or the application is shutting down; nothing need be done.',
    path,
  });
}

/** A success without what a success must hold counts as a failed try. */
export function malformed(path: string): VaultError {
  return new VaultError({
    code: 'VAULT_RESPONSE_INVALID',
    answerLost: true,
    message: `The server's answer at ${path} lacks what it must hold.`,
    hint: 'Check what stands between here and the server.',
    path,
  });
}

/** A cache gave what the server has to give: nothing was done for this request. */
export function fromCache(path?: string): VaultError {
  return new VaultError({
    code: 'VAULT_RESPONSE_INVALID',
    message: `A cache between here and the server answered ${path === undefined ? 'the login' : `the request at ${path}`}.`,
    hint: 'Let the cache pass requests on that are not for KV secrets, or use the address of the server itself.',
    ...(path !== undefined && { path }),
  });
}

/** JSON that is nested deeper than any answer of a server: all that walks through it would run out of stack. */
export function tooDeep(path: string): VaultError {
  return new VaultError({
    code: 'VAULT_RESPONSE_TOO_LARGE',
    message: `The answer at ${path} is nested deeper than this client accepts (512 levels).`,
    hint: 'Store the secret in a flatter form; where it is flat, check what listens at the address.',
    path,
    answerLost: true,
  });
}

/** Anything that is no {@link VaultError} may hold secrets, so only its class is told. */
export function unexpected(cause: unknown, what: string, path?: string): VaultError {
  return new VaultError({
    code: 'VAULT_SERVER_ERROR',
    message: `${what} failed with ${classOf(cause)}.`,
    hint: 'Look at what is given to the connection as functions: a secret source, an auth method, a transport.',
    ...(path !== undefined && { path }),
  });
}

/** The error of a start, which says for how long it was tried, where waiting longer might have helped. */
export function startFailed(error: unknown, timeout: number): unknown {
  if (!(error instanceof VaultError)) return error;
  if (!isTransient(error) && !error.errors?.some((one) => isTransient(one))) return error;
  return withSentence(error, `The start gave up after ${timeout / 1_000} s (\`startup.timeout\`).`);
}
