import { VaultError } from '../errors/vault-error.js';
import { errorCode, isTooLarge, RedirectRefused, TransportTimeout } from './transport.js';

const DROPPED = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);
const CLOCK_CODES = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);

/** Turns what the transport threw into a typed error. Nothing of the original is kept: it can hold headers. */
export function fromNetworkError(error: unknown, path: string, addresses: readonly string[]): VaultError {
  if (error instanceof VaultError) return error;
  const code = errorCode(error);
  const where = addresses.join(', ');

  if (error instanceof RedirectRefused) {
    return new VaultError({
      code: 'VAULT_STANDBY',
      message: `The server redirects to ${error.origin}, which is not a configured address (or leaves TLS).`,
      hint: 'If that is your leader, add it to `address` (a list is allowed). The token was not sent there.',
      path,
    });
  }
  if (error instanceof TransportTimeout) {
    return new VaultError({
      code: 'VAULT_TIMEOUT',
      answerLost: true,
      message: `No answer in time from ${where}.`,
      hint: 'Check the network and the load of the server; `timeout` (milliseconds) is how long one request may take.',
      path,
    });
  }
  if (isTooLarge(error)) {
    return new VaultError({
      code: 'VAULT_RESPONSE_TOO_LARGE',
      message: 'The answer is larger than this client accepts (32 MiB).',
      hint: 'No Vault answers so much to a read; check what listens at the address.',
      path,
    });
  }
  if (code.startsWith('ERR_OSSL')) {
    return new VaultError({
      code: 'VAULT_TLS_UNTRUSTED',
      message: `The \`tls\` options cannot be used: ${code}.`,
      hint:
        'Check that `tls.ca`, `tls.cert` and `tls.key` are PEM, that the key is of that certificate, and that ' +
        '`tls.passphrase` is its own.',
      path,
    });
  }
  if (isTls(code)) {
    const now = new Date().toISOString();
    return new VaultError({
      code: 'VAULT_TLS_UNTRUSTED',
      message: `The TLS connection to ${where} was refused: ${code}.`,
      hint: CLOCK_CODES.has(code)
        ? `The certificate is not valid at this machine's time, ${now}: check the clock here, then the certificate.`
        : 'Give the certificate authority of the server as `tls.ca` (PEM), and check that the address is the name ' +
          `in its certificate and that the server wants https. This machine's clock says ${now}.`,
      path,
    });
  }
  // Servers tell so after the handshake, and by then close; undici keeps only that they did.
  const dropped = DROPPED.has(code);
  const mutual = dropped && where.includes('https:');
  return new VaultError({
    code: 'VAULT_UNREACHABLE',
    ...(dropped && { answerLost: true }),
    message: `No connection to ${where} (${code || 'connection failed'}).`,
    hint:
      'Check `address`, that the server runs, DNS and firewalls between here and there.' +
      (mutual
        ? ' A server that wants another client certificate (`tls.cert`) cuts the connection, too.'
        : ''),
    path,
  });
}

function isTls(code: string): boolean {
  return /^(CERT_|ERR_TLS|ERR_SSL|EPROTO|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CRL_|INVALID_CA|HOSTNAME_MISMATCH)/.test(
    code,
  );
}
