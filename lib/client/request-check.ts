import { HEADER_VALUE, readHeaders, RESERVED } from './headers.js';
import { bareNamespace, isNamespace } from './namespace.js';
import { VaultError } from '../errors/vault-error.js';
import { assertHeaderValue } from './path.js';

/** The options of a request besides its path and body. */
export interface CheckedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly namespace?: string;
  readonly responseType?: string | undefined;
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

const TYPES = new Set(['json', 'text', 'bytes']);
const METHODS = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'LIST']);

/**
 * Checks a request before it is sent: for values that the HTTP client would refuse, and for headers of the connection.
 *
 * @returns its headers with names in lower case, and its namespace without surrounding slashes
 * @throws VaultError `VAULT_REQUEST_INVALID`; `VAULT_CONFIG_INVALID` for a header value or a namespace with characters
 * that no header can carry
 */
export function checkRequest(request: CheckedRequest): {
  headers: Record<string, string>;
  namespace?: string;
} {
  const { method, path, headers = {}, namespace, responseType = 'json', timeout, signal } = request;
  const refuse = (problem: string, hint: string): never => {
    throw invalid(path, problem, hint);
  };
  if (!METHODS.has(method)) refuse('its method is not one of Vault', `Use ${[...METHODS].join(', ')}.`);
  if (!TYPES.has(responseType))
    refuse('its `responseType` is none', `Use ${[...TYPES].join(', ')}, or leave it out.`);
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout > 0))
    refuse('its `timeout` is not a number above 0', 'Give milliseconds, or leave it out.');
  if (signal !== undefined && !isSignal(signal))
    refuse('its `signal` is no AbortSignal', 'Give the `signal` of an AbortController.');
  const checked = readHeaders(headers, RESERVED, refuse);
  for (const name in checked) assertHeaderValue(checked[name] as string, `header ${name}`, HEADER_VALUE);
  if (namespace === undefined) return { headers: checked };
  const bare = typeof namespace === 'string' ? bareNamespace(namespace) : '';
  // An empty namespace, as from an unset variable, would address the root instead of the connection's own.
  if (!isNamespace(bare))
    refuse(
      'its `namespace` is empty, or not names separated by "/"',
      `Leave it out for that of the connection; "root" is the root.`,
    );
  return { headers: checked, namespace: assertHeaderValue(bare, 'namespace') };
}

function isSignal(signal: unknown): boolean {
  const { addEventListener, aborted } = (signal ?? {}) as Partial<AbortSignal>;
  return typeof addEventListener === 'function' && typeof aborted === 'boolean';
}

function invalid(path: string, problem: string, hint: string): VaultError {
  return new VaultError({
    code: 'VAULT_REQUEST_INVALID',
    message: `The request at ${path} is not sent: ${problem}.`,
    hint,
    path,
  });
}
