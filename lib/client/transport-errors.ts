/**
 * Progress of a request: `unsent` was certainly not sent; `sent` may have been executed; `answered` had the beginning
 * of an unusable answer.
 */
export type Progress = 'unsent' | 'sent' | 'answered';

/** A proxy opened no tunnel. */
export class ProxyFailed extends Error {
  constructor(
    /** The error code of Node, or {@link PROXY_REFUSED}. */
    readonly code: string,
    /** Without user name and password. */
    readonly proxy: string,
    /** The status of its answer, if there was one. */
    readonly status?: number,
  ) {
    super(`${code} (${proxy})`);
  }
}

/** The code of a {@link ProxyFailed} after an answer. */
export const PROXY_REFUSED = 'PROXY_REFUSED';

/** An exchange without a usable answer. Keeps nothing of the original error, which can contain headers. */
export class ExchangeFailed extends Error {
  constructor(
    /** The error code of Node or undici. */
    readonly code: string,
    readonly progress: Progress,
    /** Whether only the connection may have been closed, which does not show an outage of the server. */
    readonly stale = false,
    /** The address of the request, if known. */
    readonly address?: string,
    /** The failure of the proxy on the way. */
    readonly proxy?: ProxyFailed,
  ) {
    super(`${code} (${progress})`);
  }
}

/** Error codes of a connection closed by the other side. */
const DROPPED = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'ECONNABORTED', 'EPIPE']);

/** Whether the other side ended a connection. */
export function isDropped(code: string): boolean {
  return DROPPED.has(code);
}

/** The code of {@link TransportTimeout}. */
export const TIMED_OUT = 'ETIMEDOUT';

/** The exchange reached its timeout. */
export class TransportTimeout extends ExchangeFailed {
  constructor(progress: Progress) {
    super(TIMED_OUT, progress);
  }
}

/** A redirect that is not followed; the target's origin is named, never the token. */
export class RedirectRefused extends Error {
  /** @param why ends the sentence "The server redirects to …, " */
  constructor(
    readonly origin: string,
    readonly why = 'which is not a configured address (or leaves TLS)',
  ) {
    super('redirect that is not followed');
  }
}

/** The server does not trust the certificate of this client, or requires one. It has read no request. */
export const CLIENT_REFUSED =
  /_ALERT_(CERTIFICATE_|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|NO_CERTIFICATE)/;

/** Error codes of other senders that mean that nothing was sent. */
const UNSENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/** Whether a failed request was certainly not executed. */
export function isUndone(error: unknown): boolean {
  if (error instanceof RedirectRefused) return true;
  if (error instanceof ExchangeFailed) return error.progress === 'unsent' || CLIENT_REFUSED.test(error.code);
  return UNSENT.has(errorCode(error));
}

/** The code of a network failure, from the places in which Node and undici store it (happy eyeballs wrap theirs). */
export function errorCode(error: unknown): string {
  for (let current = error, depth = 0; current && depth < 5; depth++) {
    const { code, cause, errors: list } = current as { code?: unknown; cause?: unknown; errors?: unknown[] };
    if (typeof code === 'string') return code;
    current = cause ?? list?.[0];
  }
  return error instanceof TypeError || error instanceof RangeError ? error.name : '';
}

/** The `tls` options are invalid, or one side does not trust the other. */
export function isTls(code: string): boolean {
  return /^(CERT_|ERR_TLS|ERR_SSL|ERR_OSSL|EPROTO|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CRL_|INVALID_(CA|PURPOSE)|HOSTNAME_MISMATCH)/.test(
    code,
  );
}

/** The HTTP client refused its arguments, before a request was sent. */
export function isArgument(code: string): boolean {
  return /^(UND_ERR_INVALID_ARG|UND_ERR_NOT_SUPPORTED|UND_ERR_REQ_CONTENT|ERR_INVALID|TypeError|RangeError)/.test(
    code,
  );
}
