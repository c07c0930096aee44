/**
 * How far a request came: `unsent` is known not to have left; `sent` may have been done; of `answered` an answer
 * had begun, which could not be used.
 */
export type Progress = 'unsent' | 'sent' | 'answered';

/** An exchange without a usable answer. Nothing of the original error is kept: it can hold headers. */
export class ExchangeFailed extends Error {
  constructor(
    /** As Node or undici name the failure. */
    readonly code: string,
    readonly progress: Progress,
    /** It may have been the connection alone that was gone: it says nothing of the server. */
    readonly stale = false,
    /** The address that was asked, where it is known. */
    readonly address?: string,
  ) {
    super(`${code} (${progress})`);
  }
}

/** By which a connection ends at the other side. */
const DROPPED = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'ECONNABORTED', 'EPIPE']);

/** Whether the other side ended a connection. */
export function isDropped(code: string): boolean {
  return DROPPED.has(code);
}

/** The code of {@link TransportTimeout}. */
export const TIMED_OUT = 'ETIMEDOUT';

/** The time allowed for the exchange is over. */
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

/** The server does not trust the certificate of this client, or wants one. It read no request. */
export const CLIENT_REFUSED =
  /_ALERT_(CERTIFICATE_|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|NO_CERTIFICATE)/;

/** By which other senders than ours say that nothing was sent. */
const UNSENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/** Whether a failed request is known not to have been done. */
export function isUndone(error: unknown): boolean {
  if (error instanceof RedirectRefused) return true;
  if (error instanceof ExchangeFailed) return error.progress === 'unsent' || CLIENT_REFUSED.test(error.code);
  return UNSENT.has(errorCode(error));
}

/** The code of a network failure, looked for where Node and undici put it (happy eyeballs wrap theirs). */
export function errorCode(error: unknown): string {
  for (let current = error, depth = 0; current && depth < 5; depth++) {
    const { code, cause, errors: list } = current as { code?: unknown; cause?: unknown; errors?: unknown[] };
    if (typeof code === 'string') return code;
    current = cause ?? list?.[0];
  }
  return error instanceof TypeError || error instanceof RangeError ? error.name : '';
}

/** The `tls` options cannot be used, or the two sides do not trust each other. */
export function isTls(code: string): boolean {
  return /^(CERT_|ERR_TLS|ERR_SSL|ERR_OSSL|EPROTO|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CRL_|INVALID_(CA|PURPOSE)|HOSTNAME_MISMATCH)/.test(
    code,
  );
}

/** The HTTP client refused what it was given, before anything was sent. */
export function isArgument(code: string): boolean {
  return /^(UND_ERR_INVALID_ARG|UND_ERR_NOT_SUPPORTED|UND_ERR_REQ_CONTENT|ERR_INVALID|TypeError|RangeError)/.test(
    code,
  );
}
