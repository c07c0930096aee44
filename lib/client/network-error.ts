import { VaultError } from '../errors/vault-error.js';
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

const CLOCK_CODES = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);
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
      hint: 'Look at `address` for a proxy that cuts connections, or a server that restarts; it is tried again.',
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
  if (code.startsWith('ERR_OSSL')) {
    return new VaultError({
      ...common,
      code: 'VAULT_TLS_UNTRUSTED',
      message: `The \`tls\` options cannot be used: ${code}.`,
      hint:
        'Check that `tls.ca`, `tls.cert` and `tls.key` are PEM, that the key is of that certificate, and that ' +
        '`tls.passphrase` is its own.',
    });
  }
  if (isTls(code)) {
    const now = new Date().toISOString();
    return new VaultError({
      ...common,
      code: 'VAULT_TLS_UNTRUSTED',
      message: `The TLS connection to ${where} was refused: ${code}.`,
      hint: CLOCK_CODES.has(code)
        ? `The certificate is not valid at this machine's time, ${now}: check the clock here, then the certificate.`
        : 'Give the certificate authority of the server as `tls.ca` (PEM), and check that the address is the name ' +
          `in its certificate and that the server wants https. This machine's clock says ${now}.`,
    });
  }
  // Servers refuse a client certificate after the handshake, and close; undici keeps only that they did.
  const mutual = isDropped(code) && where.includes('https:');
  return new VaultError({
    ...common,
    code: 'VAULT_UNREACHABLE',
    message: `No connection to ${where} (${code || 'connection failed'}).`,
    hint:
      'Check `address`, that the server runs, DNS and firewalls between here and there.' +
      (mutual
        ? ' A server that wants another client certificate (`tls.cert`) cuts the connection, too.'
        : ''),
  });
}
