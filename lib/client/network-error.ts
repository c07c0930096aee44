import { VaultError } from '../errors/vault-error.js';
import { isLocal } from './clear-text.js';
import { fromProxyFailure } from './proxy-error.js';
import { socketPathOf } from './server-address.js';
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

/** Further causes of a closed connection. */
const CUT = {
  https:
    ' A server that requires a client certificate (`tls.cert`), or another one, closes the connection, too.',
  http: ' A port that requires TLS may close the connection, too: then `address` must begin with https://.',
};
/** Remedies for a Unix socket, by Node's error code. */
const SOCKET: Readonly<Record<string, string>> = {
  ENOENT:
    'There is no socket at this path. Check `address`, that the server or agent runs, and that the folder of its socket ' +
    'is mounted into this container.',
  EACCES:
    'This process may not open the socket. Give its user read and write permission (`socket_mode`, `socket_user` and ' +
    '`socket_group` of the listener), and access to the folder.',
  ECONNREFUSED: 'No server listens at this path: it is the socket of one that has ended, or another file.',
};
const NOT_STARTED =
  'No server listens at this port of this machine. Start it (for development: `npx --no-install nestjs-vault dev`), or ' +
  'correct `address`; in a container, the address of another one is its name.';
const TOO_LARGE: Readonly<Record<string, string>> = {
  UND_ERR_RES_EXCEEDED_MAX_SIZE: 'The answer is larger than this client accepts (32 MiB).',
  UND_ERR_HEADERS_OVERFLOW: 'The headers of the answer are larger than this client accepts.',
};

/** Converts an error of the transport into a `VaultError`. Keeps nothing of the original, which can contain headers. */
export function fromNetworkError(error: unknown, path: string, addresses: readonly string[]): VaultError {
  if (error instanceof VaultError) return error;
  const code = errorCode(error);
  const where = addresses.join(', ');
  // Only a request that was certainly not sent counts as not executed.
  const common = { path, outcomeUnknown: !isUndone(error) };

  if (error instanceof RedirectRefused) {
    return new VaultError({
      ...common,
      code: 'VAULT_STANDBY',
      message: `The server redirects to ${error.origin}, ${error.why}.`,
      hint:
        'If that is your leader, add it to `address` (a list is allowed). The client did not send the token there. Vault ' +
        'itself redirects with 307 only: any other redirect comes from a proxy.',
    });
  }
  if (error instanceof TransportTimeout) {
    return new VaultError({
      ...common,
      code: 'VAULT_TIMEOUT',
      message:
        error.progress === 'unsent'
          ? `There was no connection to ${where} in time; no request was sent.`
          : `There was no answer from ${where} in time.`,
      hint: 'Check the network and the load of the server; `timeout` (milliseconds) limits one request.',
    });
  }
  if (error instanceof ExchangeFailed && error.proxy)
    return fromProxyFailure(error.proxy, error.address ?? where, common);
  const tooLarge = TOO_LARGE[code];
  if (tooLarge) {
    return new VaultError({
      ...common,
      code: 'VAULT_RESPONSE_TOO_LARGE',
      message: tooLarge,
      hint: 'Vault does not send answers of this size; check which server listens at the address.',
    });
  }
  if (code.startsWith('HPE_')) {
    return new VaultError({
      ...common,
      code: 'VAULT_NOT_VAULT',
      message: `A server that does not speak HTTP answered at ${where}.`,
      hint: 'Check `address` (scheme, host, port): another service or a broken proxy answers there.',
    });
  }
  if (error instanceof ExchangeFailed && error.progress === 'answered') {
    return new VaultError({
      ...common,
      code: 'VAULT_NOT_VAULT',
      message: `The answer from ${where} was incomplete (${code}).`,
      hint: 'Check for a proxy that closes connections, or a server that restarts, at `address`.',
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
  const socket = error instanceof ExchangeFailed && socketPathOf(error.address ?? '') !== undefined;
  // Servers refuse a client certificate after the handshake, and close; undici reports only the close.
  const cut = isDropped(code) && !socket;
  return new VaultError({
    ...common,
    code: 'VAULT_UNREACHABLE',
    message: `No connection to ${where} (${code || 'connection failed'}).`,
    hint:
      ((socket && SOCKET[code]) ||
        (code === 'ECONNREFUSED' && addresses.every(isLocal) && NOT_STARTED) ||
        'Check `address`, that the server runs, DNS, and firewalls on the way.') +
      (cut ? CUT[where.includes('https:') ? 'https' : 'http'] : ''),
  });
}
