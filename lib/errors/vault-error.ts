import { printable } from './printable.js';

/**
 * Every code a {@link VaultError} can carry. Codes are stable: match on them, never on messages.
 * `docs/errors.md` lists each with its cause and remedy.
 *
 * @publicApi
 */
export type VaultErrorCode =
  // configuration and inputs
  | 'VAULT_CONFIG_INVALID'
  | 'VAULT_PATH_INVALID'
  | 'VAULT_SOURCE_UNREADABLE'
  | 'VAULT_CONNECTION_UNKNOWN'
  | 'VAULT_DRIVER_TOO_OLD'
  | 'VAULT_EXTENSION_INVALID'
  // login
  | 'VAULT_LOGIN_INPUT_INVALID'
  | 'VAULT_LOGIN_LOCKED_OUT'
  | 'VAULT_LOGIN_DENIED'
  | 'VAULT_LOGIN_MFA_REQUIRED'
  | 'VAULT_LOGIN_PROVIDER_UNAVAILABLE'
  | 'VAULT_WRAPPING_TOKEN_INVALID'
  | 'VAULT_WRAPPING_PATH_MISMATCH'
  | 'VAULT_TOKEN_INVALID'
  // authorisation and addresses inside the server
  | 'VAULT_PERMISSION_DENIED'
  | 'VAULT_NAMESPACE_NOT_FOUND'
  | 'VAULT_MOUNT_NOT_FOUND'
  | 'VAULT_ROLE_NOT_FOUND'
  | 'VAULT_SECRET_NOT_FOUND'
  | 'VAULT_SECRET_DELETED'
  | 'VAULT_SECRET_DESTROYED'
  | 'VAULT_SECRET_KEY_MISSING'
  | 'VAULT_SECRET_INVALID'
  // leases
  | 'VAULT_LEASE_NOT_FOUND'
  | 'VAULT_LEASE_AT_MAX_TTL'
  | 'VAULT_LEASE_NOT_RENEWABLE'
  | 'VAULT_CREDENTIALS_EXPIRED'
  | 'VAULT_CREDENTIALS_REJECTED'
  | 'VAULT_ROTATION_OVERDUE'
  // the server and the way to it
  | 'VAULT_SEALED'
  | 'VAULT_STANDBY'
  | 'VAULT_RATE_LIMITED'
  | 'VAULT_UNREACHABLE'
  | 'VAULT_TIMEOUT'
  | 'VAULT_TLS_UNTRUSTED'
  | 'VAULT_PROXY_REFUSED'
  | 'VAULT_NOT_VAULT'
  | 'VAULT_RESPONSE_INVALID'
  | 'VAULT_RESPONSE_TOO_LARGE'
  | 'VAULT_REQUEST_INVALID'
  | 'VAULT_CAS_CONFLICT'
  | 'VAULT_BACKEND_FAILED'
  | 'VAULT_SERVER_ERROR'
  // the life of the application
  | 'VAULT_STARTUP_FAILED'
  | 'VAULT_CLOSED';

/** The parts of a {@link VaultError}. @inline */
export interface VaultErrorInit {
  code: VaultErrorCode;
  /** The event, with its actor and without any secret. */
  message: string;
  /** The remedy. */
  hint: string;
  status?: number;
  path?: string;
  /** Milliseconds the server asked to wait (`Retry-After`). */
  retryAfter?: number;
  /** The server may have executed the request, and there is no usable answer. */
  outcomeUnknown?: boolean;
  /** The version of a KV secret that the error is about. */
  version?: number;
  /** The single errors behind a combined one. */
  errors?: readonly VaultError[];
  cause?: unknown;
}

const BRAND = Symbol.for('nestjs-vault.VaultError');

/**
 * The only error class of this package. `code` names the failure, `hint` the remedy; neither they nor the message ever
 * contain a secret. The server's own words are left out on purpose: they can contain host and user names, and some
 * servers echo inputs. Each part is one line of at most 8192 characters.
 *
 * `instanceof` also holds across the ESM and the CommonJS copy of this package in one process.
 *
 * @publicApi
 */
export class VaultError extends Error {
  override readonly name = 'VaultError';
  readonly code: VaultErrorCode;
  readonly hint: string;
  /** HTTP status of the answer, if there was one. */
  declare readonly status?: number;
  /** The API path of the request, below `/v1/`. */
  declare readonly path?: string;
  /** Milliseconds until the next attempt, if the server requested a delay (`Retry-After`). */
  declare readonly retryAfter?: number;
  /**
   * `true` if there is no usable answer and the server may have executed the request. Not set if the request was certainly
   * not sent, or if the server itself refused it.
   */
  declare readonly outcomeUnknown?: boolean;
  /**
   * The version of a KV secret: the current one after `VAULT_CAS_CONFLICT` (0: none was written yet; absent if it could
   * not be read), the deleted or destroyed one after `VAULT_SECRET_DELETED` and `VAULT_SECRET_DESTROYED`.
   */
  declare readonly version?: number;
  /** The single errors behind a combined one (a failed start). */
  declare readonly errors?: readonly VaultError[];

  constructor(init: VaultErrorInit) {
    const hint = printable(init.hint);
    super(
      printable(init.message) + ending(init.code, hint),
      init.cause === undefined ? {} : { cause: init.cause },
    );
    this.code = init.code;
    this.hint = hint;
    if (init.status !== undefined) this.status = init.status;
    if (init.path !== undefined) this.path = printable(init.path);
    if (init.retryAfter !== undefined) this.retryAfter = init.retryAfter;
    if (init.outcomeUnknown) this.outcomeUnknown = true;
    if (init.version !== undefined) this.version = init.version;
    if (init.errors !== undefined) this.errors = init.errors;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Also true for an error of the other copy of this package (ESM, CommonJS) in the same process. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value;
  }
}

/** The end of every message: code and hint. */
const ending = (code: VaultErrorCode, hint: string) => ` [${code}] ${hint}`;

/** The message of an error, without its code and hint. */
export function messageOf({ message, code, hint }: VaultError): string {
  return message.slice(0, -ending(code, hint).length);
}

/** The message of an error as a phrase within a sentence. */
export function phraseOf(error: VaultError): string {
  return messageOf(error).replace(/\.$/, '');
}

/** Copies an error, with another sentence in its message, and with members that are known since. */
export function withSentence(
  error: VaultError,
  sentence: string,
  known: Pick<VaultErrorInit, 'version' | 'outcomeUnknown'> = {},
): VaultError {
  const { code, hint, status, path, retryAfter, outcomeUnknown, version, errors, cause } = error;
  return new VaultError({
    code,
    message: `${messageOf(error)} ${sentence}`,
    hint,
    ...(status !== undefined && { status }),
    ...(path !== undefined && { path }),
    ...(retryAfter !== undefined && { retryAfter }),
    ...(outcomeUnknown && { outcomeUnknown }),
    ...(version !== undefined && { version }),
    ...(errors && { errors }),
    ...(cause !== undefined && { cause }),
    ...known,
  });
}

/** Whether a later attempt may succeed without a change by an operator. */
export function isTransient(error: VaultError): boolean {
  return TRANSIENT.has(error.code);
}

/** Whether the request reached no working server. */
export function isServerUnavailable({ code }: VaultError): boolean {
  return code === 'VAULT_UNREACHABLE' || code === 'VAULT_SEALED' || code === 'VAULT_STANDBY';
}

/** Whether the request had no effect: it reached no working server, so any other request would have failed, too. */
export function hadNoEffect(error: VaultError): boolean {
  return isServerUnavailable(error) && !error.outcomeUnknown;
}

/** Whether no working server answered: the next request would not get an answer either. */
export function gotNoResponse(error: VaultError): boolean {
  return isServerUnavailable(error) || error.code === 'VAULT_TIMEOUT';
}

/** Whether the server may have executed the request at a path, in spite of the error. */
export function mayHaveExecuted(error: VaultError, path: string): boolean {
  // An error with another path comes from the login or the look-up before this request.
  if (error.path !== path) return false;
  return error.outcomeUnknown === true || FAILED_MIDWAY.has(error.code);
}

/** The server failed during the execution. */
const FAILED_MIDWAY: ReadonlySet<VaultErrorCode> = new Set<VaultErrorCode>([
  'VAULT_SERVER_ERROR',
  'VAULT_RESPONSE_INVALID',
]);

const TRANSIENT: ReadonlySet<VaultErrorCode> = new Set<VaultErrorCode>([
  'VAULT_LOGIN_PROVIDER_UNAVAILABLE',
  'VAULT_SEALED',
  'VAULT_STANDBY',
  'VAULT_RATE_LIMITED',
  'VAULT_UNREACHABLE',
  'VAULT_TIMEOUT',
  'VAULT_NOT_VAULT',
  'VAULT_RESPONSE_INVALID',
  'VAULT_BACKEND_FAILED',
  'VAULT_SERVER_ERROR',
  'VAULT_ROTATION_OVERDUE',
]);
