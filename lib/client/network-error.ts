import { VaultError } from '../errors/vault-error.js';
import { tlsHint } from './tls-hints.js';
import {
  errorCode,
  ExchangeFailed,
  isArgument,
  isDropped,
  isTls,
  isUndone,
  RedirectRefused,
  TransportTimeout,
} from './transport-errors.js';

/** What else can be the matter with a connection that is cut. */
const CUT = {
  https: ' A server that wants a client certificate (`tls.cert`), or another one, cuts the connection, too.',
  http: ' A port that wants TLS may cut the connection, too: then `address` must begin with https://.',
};
const TOO_LARGE: Readonly<Record<string, string>> = {
  UND_ERR_RES_EXCEEDED_MAX_SIZE: 'The answer is larger than this client accepts (32 MiB).',
  UND_ERR_HEADERS_OVERFLOW: 'The headers of the answer are larger than this client accepts.',
};

/** Turns what the transport threw into a typed error. Nothing of the original is kept: it can hold headers. */
export function fromNetworkError(error: unknown, path: string, addresses: readonly string[]): VaultError {
  if (error instanceof VaultError) return error;
  const code = errorCode(error);
  const where = addresses.join(', ');
  // Only what is known not to have been sent counts as not done.
  const common = { path, answerLost: !isUndone(error) };

  if (error instanceof RedirectRefused) {
    return new VaultError({
      ...common,
      code: 'VAULT_STANDBY',
      message: `The server redirects to ${error.origin}, ${error.why}.`,
      hint:
        'If that is your leader, add it to `address` (a list is allowed). The token was not sent there. Vault itself ' +
        'redirects with 307 only: anything else comes from a proxy.',
    });
  }
  if (error instanceof TransportTimeout) {
    return new VaultError({
      ...common,
      code: 'VAULT_TIMEOUT',
      message:
        error.progress === 'unsent'
          ? `There was no connection in time to ${where}; nothing was sent.`
          : `No answer in time from ${where}.`,
      hint: 'Check the network and the load of the server; `timeout` (milliseconds) is how long one request may take.',
    });
  }
  const tooLarge = TOO_LARGE[code];
  if (tooLarge) {
    return new VaultError({
      ...common,
      code: 'VAULT_RESPONSE_TOO_LARGE',
      message: tooLarge,
      hint: 'No Vault answers so much to a read; check what listens at the address.',
    });
  }
  if (code.startsWith('HPE_')) {
    return new VaultError({
      ...common,
      code: 'VAULT_NOT_VAULT',
      message: `Something that does not speak HTTP answered at ${where}.`,
      hint: 'Check `address` (scheme, host, port): another service or a broken proxy answers there.',
    });
  }
  if (error instanceof ExchangeFailed && error.progress === 'answered') {
    return new VaultError({
      ...common,
      code: 'VAULT_NOT_VAULT',
      message: `The answer of ${where} broke off (${code}).`,
      hint: 'Look at `address` for a proxy that cuts connections, or a server that restarts.',
    });
  }
  if (isArgument(code)) {
    return new VaultError({
      ...common,
      code: 'VAULT_REQUEST_INVALID',
      message: `The request at ${path} cannot be sent (${code}).`,
      hint: 'Check its method and headers.',
    });
  }
  if (isTls(code)) {
    const at = (error as ExchangeFailed).address ?? where;
    return new VaultError({
      ...common,
      code: 'VAULT_TLS_UNTRUSTED',
      message: `The TLS connection to ${at} failed: ${code}.`,
      hint: tlsHint(code),
    });
  }
  // Servers refuse a client certificate after the handshake, and close; undici keeps only that they did.
  const cut = isDropped(code);
  return new VaultError({
    ...common,
    code: 'VAULT_UNREACHABLE',
    message: `No connection to ${where} (${code || 'connection failed'}).`,
    hint:
      'Check `address`, that the server runs, DNS and firewalls between here and there.' +
      (cut ? CUT[where.includes('https:') ? 'https' : 'http'] : ''),
  });
}
