import { classOf } from './printable.js';
import { isTransient, VaultError, withSentence } from './vault-error.js';

/**
 * The error of a call that came after, or was pending at, the shutdown.
 *
 * @param outcomeUnknown the request had been sent, and the server may have executed it
 */
export function closed(path?: string, outcomeUnknown = false): VaultError {
  return new VaultError({
    code: 'VAULT_CLOSED',
    message: 'The connection is closed: the application is shutting down.',
    hint: 'Request secrets before the shutdown begins; after it the application has none.',
    ...(path !== undefined && { path }),
    outcomeUnknown,
  });
}

/**
 * The error of a request whose signal was aborted: by the caller, or by the shutdown.
 *
 * @param outcomeUnknown the request may have reached the server
 */
export function aborted(path: string, outcomeUnknown: boolean): VaultError {
  return new VaultError({
    outcomeUnknown,
    code: 'VAULT_CLOSED',
    message: 'The request was aborted.',
    hint: 'The caller aborted it, or the application is shutting down; no action is needed.',
    path,
  });
}

/** A success without its required fields counts as a failed attempt. */
export function malformed(path: string): VaultError {
  return new VaultError({
    code: 'VAULT_RESPONSE_INVALID',
    outcomeUnknown: true,
    message: `The server's answer at ${path} lacks required fields.`,
    hint: 'Check proxies and gateways between the application and the server.',
    path,
  });
}

/** A cache answered in place of the server, so the server executed nothing for this request. */
export function fromCache(path?: string): VaultError {
  return new VaultError({
    code: 'VAULT_RESPONSE_INVALID',
    message: `A cache between the application and the server answered ${path === undefined ? 'the login' : `the request at ${path}`}.`,
    hint: 'Configure the cache to forward all requests except reads of static secrets, or use the address of the server itself.',
    ...(path !== undefined && { path }),
  });
}

/** JSON nested deeper than any answer of a server: code that traverses it would overflow the stack. */
export function tooDeep(path: string): VaultError {
  return new VaultError({
    code: 'VAULT_RESPONSE_TOO_LARGE',
    message: `The answer at ${path} is nested deeper than this client accepts (512 levels).`,
    hint: 'Store the secret in a flatter form; if it is flat, check which server listens at the address.',
    path,
    outcomeUnknown: true,
  });
}

/** Any other error than a {@link VaultError} may contain secrets, so the message names only its class. */
export function unexpected(cause: unknown, what: string, path?: string): VaultError {
  return new VaultError({
    code: 'VAULT_SERVER_ERROR',
    message: `${what} failed with ${classOf(cause)}.`,
    hint: 'Check the functions given to the connection: secret sources, auth method, transport.',
    ...(path !== undefined && { path }),
  });
}

/** The error of a start; after a transient failure it names the time for which the start was tried. */
export function startFailed(error: unknown, timeout: number): unknown {
  if (!(error instanceof VaultError)) return error;
  if (!isTransient(error) && !error.errors?.some((one) => isTransient(one))) return error;
  return withSentence(error, `The start gave up after ${timeout / 1_000} s (\`startup.timeout\`).`);
}
