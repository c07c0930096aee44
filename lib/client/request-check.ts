import { VaultError } from '../errors/vault-error.js';
import { assertHeaderValue } from './path.js';

/** What a caller decides of a request besides its path and body. */
export interface CheckedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

const METHODS = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'LIST']);
/** RFC 9110, 5.6.2. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]{1,128}$/;
const HEADER_VALUE = /^[\x20-\x7e]*$/;
const HOP_BY_HOP = 'It belongs to one connection, and the HTTP client sets it.';
const CLIENT = 'This client sets it by itself.';
/** Names that a request must not set, and what to do instead. */
const RESERVED = new Map<string, string>(
  Object.entries({
    connection: HOP_BY_HOP,
    'keep-alive': HOP_BY_HOP,
    te: HOP_BY_HOP,
    trailer: HOP_BY_HOP,
    'transfer-encoding': HOP_BY_HOP,
    upgrade: HOP_BY_HOP,
    'http2-settings': HOP_BY_HOP,
    expect: HOP_BY_HOP,
    host: HOP_BY_HOP,
    'content-length': HOP_BY_HOP,
    'content-encoding': 'Bodies are sent as they are.',
    'accept-encoding': 'Answers are read as they are, not compressed.',
    'x-vault-token': 'Log in with that token, in a connection of its own.',
    'x-vault-namespace': 'Give `namespace` instead.',
    'x-vault-index': CLIENT,
    'x-vault-request': CLIENT,
  }),
);

/**
 * Checks a request before it costs anything: what the HTTP client would refuse, and what belongs to the connection.
 *
 * @returns the headers, their names in lower case
 * @throws VaultError `VAULT_REQUEST_INVALID`; `VAULT_CONFIG_INVALID` for a header value with other characters than
 * those of ASCII
 */
export function checkRequest(request: CheckedRequest): Record<string, string> {
  const { method, path, headers, timeout, signal } = request;
  if (!METHODS.has(method))
    throw invalid(path, 'its method is none of Vault', `Use ${[...METHODS].join(', ')}.`);
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout > 0))
    throw invalid(path, 'its `timeout` is no number above 0', 'Give milliseconds, or leave it out.');
  if (signal !== undefined && !isSignal(signal))
    throw invalid(path, 'its `signal` is no AbortSignal', 'Give the `signal` of an AbortController.');
  return checkHeaders(headers, path);
}

function checkHeaders(headers: unknown, path: string): Record<string, string> {
  // Names come from outside: `constructor` is one like any other.
  const checked = Object.create(null) as Record<string, string>;
  if (headers === undefined) return checked;
  const plain = typeof headers === 'object' && headers !== null && !(Symbol.iterator in headers);
  if (!plain) throw invalid(path, 'its `headers` are no plain object', 'Give an object of names and values.');
  for (const [given, value] of Object.entries(headers) as [string, unknown][]) {
    const name = given.toLowerCase();
    if (!HEADER_NAME.test(name))
      throw invalid(path, 'the name of a header is none', 'Correct the names of its headers.');
    const reserved = RESERVED.get(name) ?? (name.startsWith('proxy-') ? HOP_BY_HOP : undefined);
    if (reserved) throw invalid(path, `it sets the header "${name}"`, `Leave it out. ${reserved}`);
    if (name in checked) throw invalid(path, `it sets the header "${name}" twice`, 'Give each name once.');
    if (typeof value !== 'string')
      throw invalid(path, `the value of the header "${name}" is no string`, 'Give each value as a string.');
    checked[name] = assertHeaderValue(value, `header ${name}`, HEADER_VALUE);
  }
  return checked;
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
