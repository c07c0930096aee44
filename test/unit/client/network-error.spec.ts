import { errors } from 'undici';
import { expect, it } from 'vitest';
import { fromNetworkError } from '../../../lib/client/network-error.js';
import { RedirectRefused, TransportTimeout } from '../../../lib/client/transport.js';
import { ExchangeFailed } from '../../../lib/client/transport-errors.js';
import { closed } from '../../../lib/errors/common-errors.js';
import { expectNoLeak } from '../../support/leaks.js';

const CANARY = 'canary-in-the-network-error';
const coded = (code: string, more: object = {}) => Object.assign(new Error(CANARY), { code, ...more });
const errorOf = (error: unknown, ...addresses: string[]) =>
  fromNetworkError(error, 'kv1/x', addresses.length > 0 ? addresses : ['https://vault:8200']);

it.each<[unknown, string, RegExp]>([
  [coded('ECONNREFUSED'), 'VAULT_UNREACHABLE', /ECONNREFUSED/],
  [coded('ENOTFOUND'), 'VAULT_UNREACHABLE', /ENOTFOUND.*DNS/],
  [coded('UND_ERR_SOCKET'), 'VAULT_UNREACHABLE', /client certificate \(`tls\.cert`\)/],
  [new AggregateError([coded('ECONNREFUSED')]), 'VAULT_UNREACHABLE', /ECONNREFUSED/],
  [new Error(CANARY, { cause: coded('EHOSTUNREACH') }), 'VAULT_UNREACHABLE', /EHOSTUNREACH/],
  [new Error(CANARY), 'VAULT_UNREACHABLE', /connection failed/],
  [CANARY, 'VAULT_UNREACHABLE', /connection failed/],
  [undefined, 'VAULT_UNREACHABLE', /connection failed/],
  [
    new ExchangeFailed('EACCES', 'unsent', false, 'unix:///run/a.sock'),
    'VAULT_UNREACHABLE',
    /may not open the socket.*`socket_mode`/,
  ],
  [
    new ExchangeFailed('EMFILE', 'unsent', false, 'unix:///run/a.sock'),
    'VAULT_UNREACHABLE',
    /Check `address`/,
  ],
  [new TransportTimeout('sent'), 'VAULT_TIMEOUT', /`timeout` \(milliseconds\)/],
  [new RedirectRefused('https://leader:8200'), 'VAULT_STANDBY', /https:\/\/leader:8200.*add it to `address`/],
  [new errors.ResponseExceededMaxSizeError(CANARY), 'VAULT_RESPONSE_TOO_LARGE', /32 MiB/],
  [
    coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
    'VAULT_TLS_UNTRUSTED',
    /`tls\.ca` \(PEM, or the path of a file\)/,
  ],
  [coded('UNABLE_TO_GET_ISSUER_CERT_LOCALLY'), 'VAULT_TLS_UNTRUSTED', /The authority that signed/],
  [coded('UNABLE_TO_GET_ISSUER_CERT'), 'VAULT_TLS_UNTRUSTED', /add the root to `tls\.ca`/],
  [coded('SELF_SIGNED_CERT_IN_CHAIN'), 'VAULT_TLS_UNTRUSTED', /The root of the server/],
  [coded('DEPTH_ZERO_SELF_SIGNED_CERT'), 'VAULT_TLS_UNTRUSTED', /self-signed certificate/],
  [coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'VAULT_TLS_UNTRUSTED', /`tls\.serverName`/],
  [coded('CERT_HAS_EXPIRED'), 'VAULT_TLS_UNTRUSTED', /This machine's clock says 20/],
  [coded('CERT_NOT_YET_VALID'), 'VAULT_TLS_UNTRUSTED', /check this clock/],
  [coded('ERR_SSL_WRONG_VERSION_NUMBER'), 'VAULT_TLS_UNTRUSTED', /does not speak TLS/],
  [coded('EPROTO'), 'VAULT_TLS_UNTRUSTED', /does not speak TLS/],
  [
    coded('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'),
    'VAULT_TLS_UNTRUSTED',
    /this process allows: TLSv1\.2 to TLSv1\.3 /,
  ],
  [coded('ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE'), 'VAULT_TLS_UNTRUSTED', /`tls\.cert`.*a cipher/],
  [
    coded('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'),
    'VAULT_TLS_UNTRUSTED',
    /give `tls\.cert` and `tls\.key`/,
  ],
  [coded('ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED'), 'VAULT_TLS_UNTRUSTED', /`tls\.cert`\) has expired/],
  [coded('INVALID_PURPOSE'), 'VAULT_TLS_UNTRUSTED', /serverAuth/],
  [coded('CERT_UNTRUSTED'), 'VAULT_TLS_UNTRUSTED', /Check `tls\.ca`/],
])('%s is %s, and nothing of the original is kept', (error, code, text) => {
  const typed = errorOf(error);
  expect(typed).toMatchObject({ code, path: 'kv1/x' });
  expect(typed.message).toMatch(text);
  expect(typed).not.toHaveProperty('cause');
  expectNoLeak(typed, [CANARY]);
});

it('names every address that was tried', () => {
  expect(errorOf(coded('ECONNREFUSED'), 'http://127.0.0.1:8200').hint).toContain('nestjs-vault dev');
  expect(errorOf(coded('ECONNREFUSED'), 'http://a:1', 'http://127.0.0.1:8200').hint).toContain('firewalls');
  expect(errorOf(coded('ECONNREFUSED'), 'http://a:1', 'http://b:2').message).toContain(
    'http://a:1, http://b:2',
  );
});

it('mentions client certificates with TLS only, and TLS without it', () => {
  expect(errorOf(coded('ECONNRESET'), 'http://vault:8200').hint).not.toContain('tls.cert');
  expect(errorOf(coded('ECONNRESET'), 'http://vault:8200').hint).toMatch(/requires TLS.*https:\/\//);
  expect(errorOf(coded('ECONNRESET')).hint).not.toMatch(/requires TLS/);
});

it('names the address whose certificate is not trusted, of several', () => {
  const failure = new ExchangeFailed('CERT_HAS_EXPIRED', 'unsent', false, 'https://b:8200');
  const { message } = errorOf(failure, 'https://a:8200', 'https://b:8200');
  expect(message).toContain('to https://b:8200 failed');
});

it('a VaultError passes unchanged', () => {
  const error = closed();
  expect(errorOf(error)).toBe(error);
});
