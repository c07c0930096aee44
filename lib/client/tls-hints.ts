import { DEFAULT_MAX_VERSION, DEFAULT_MIN_VERSION } from 'node:tls';
import { systemClock } from '../clock/clock.js';
import { CLIENT_REFUSED } from './transport-errors.js';

const CLIENT_CERTIFICATE = 'It requires a client certificate that it trusts: give `tls.cert` and `tls.key`';

/** The versions of TLS that this process allows. Flags such as `--tls-min-v1.3` set both constants of Node. */
const VERSIONS = [...new Set([DEFAULT_MIN_VERSION, DEFAULT_MAX_VERSION])].join(' to ');

/** Remedies of failed handshakes by Node's error code; the first match is used. */
const HINTS: readonly (readonly [pattern: RegExp, hint: string])[] = [
  [
    /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNKNOWN_PROTOCOL)|^EPROTO$/,
    'The server at this port does not speak TLS. Correct the port of `address`, or, if the server has no TLS, write ' +
      'http:// (which needs `allowHttp: true` unless it is on this machine).',
  ],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID|^HOSTNAME_MISMATCH/,
    'The host of `address` is not among the names in the certificate of the server. Use a name that is (`openssl ' +
      's_client -connect <host:port> | openssl x509 -noout -ext subjectAltName` shows them), or give it as ' +
      '`tls.serverName`.',
  ],
  [
    /^UNABLE_TO_GET_ISSUER_CERT$/,
    'The chain ends in an intermediate authority whose root is not trusted: add the root to `tls.ca`, or give it instead ' +
      'of the intermediate.',
  ],
  [
    /^DEPTH_ZERO_SELF_SIGNED_CERT/,
    'The server presents a self-signed certificate. If it is yours, give that certificate itself as `tls.ca` (PEM, or the ' +
      'path of a file).',
  ],
  [
    /^SELF_SIGNED_CERT_IN_CHAIN/,
    'The root of the server is not trusted. If it is yours, give it as `tls.ca` (PEM, or the path of a file).',
  ],
  [
    /^UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT_LOCALLY)|^CERT_SIGNATURE_FAILURE/,
    'The authority that signed the certificate of the server is not trusted. Give its root as `tls.ca` (PEM, or the path ' +
      'of a file). If `tls.ca` is given, it belongs to another authority (perhaps with the same name), or the server does ' +
      'not send its intermediate certificates.',
  ],
  [
    /^INVALID_(CA|PURPOSE)/,
    'A certificate of the chain is not valid for this purpose: authorities need CA:TRUE, and servers need serverAuth.',
  ],
  [/ALERT_CERTIFICATE_EXPIRED/, 'The client certificate (`tls.cert`) has expired: renew it.'],
  [CLIENT_REFUSED, `The server refuses this client. ${CLIENT_CERTIFICATE}.`],
  [
    /ALERT_HANDSHAKE_FAILURE/,
    `The server refuses this client. ${CLIENT_CERTIFICATE}, or allow a cipher there that Node knows.`,
  ],
  [
    /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/,
    `The server must allow a version of TLS that this process allows: ${VERSIONS} (\`--tls-min-v1.3\` and other flags ` +
      'of Node change them).',
  ],
  [
    /UNRECOGNIZED_NAME/,
    'The server has no certificate for the host of `address`: give the name that it expects as `tls.serverName`.',
  ],
];

/** The remedy of a failed handshake. */
export function tlsHint(code: string, now = new Date(systemClock.wall())): string {
  const clock = `This machine's clock says ${now.toISOString()}`;
  if (code === 'CERT_HAS_EXPIRED')
    return `A certificate of the server has expired: renew it there. ${clock}: check that, too.`;
  if (code === 'CERT_NOT_YET_VALID')
    return `A certificate of the server is not valid yet. ${clock}: check this clock, then the certificate.`;
  const known = HINTS.find(([pattern]) => pattern.test(code));
  return (
    known?.[1] ??
    `Check \`tls.ca\`, the certificate of the server, and that \`address\` is a name in it. ${clock}.`
  );
}
