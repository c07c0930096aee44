import { errors } from 'undici';
import { expect, it } from 'vitest';
import { fromNetworkError } from '../../../lib/client/network-error.js';
import { RedirectRefused, TransportTimeout } from '../../../lib/client/transport.js';
import { closed } from '../../../lib/errors/common-errors.js';
import { expectNoLeak } from '../../support/leaks.js';

const CANARY = 'canary-in-the-network-error';
const coded = (code: string, more: object = {}) => Object.assign(new Error(CANARY), { code, ...more });
const told = (error: unknown, ...addresses: string[]) =>
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
  [new TransportTimeout('sent'), 'VAULT_TIMEOUT', /`timeout` \(milliseconds\)/],
  [new RedirectRefused('https://leader:8200'), 'VAULT_STANDBY', /https:\/\/leader:8200.*add it to `address`/],
  [new errors.ResponseExceededMaxSizeError(CANARY), 'VAULT_RESPONSE_TOO_LARGE', /32 MiB/],
  [coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), 'VAULT_TLS_UNTRUSTED', /`tls\.ca` \(PEM\)/],
  [coded('SELF_SIGNED_CERT_IN_CHAIN'), 'VAULT_TLS_UNTRUSTED', /`tls\.ca`/],
  [coded('DEPTH_ZERO_SELF_SIGNED_CERT'), 'VAULT_TLS_UNTRUSTED', /`tls\.ca`/],
  [coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'VAULT_TLS_UNTRUSTED', /the name in its certificate/],
  [coded('CERT_HAS_EXPIRED'), 'VAULT_TLS_UNTRUSTED', /at this machine's time, 20/],
  [coded('CERT_NOT_YET_VALID'), 'VAULT_TLS_UNTRUSTED', /check the clock here/],
  [coded('ERR_SSL_WRONG_VERSION_NUMBER'), 'VAULT_TLS_UNTRUSTED', /the server wants https/],
  [coded('ERR_OSSL_X509_KEY_VALUES_MISMATCH'), 'VAULT_TLS_UNTRUSTED', /the key is of that certificate/],
])('%s is %s, and nothing of the original is kept', (error, code, text) => {
  const typed = told(error);
  expect(typed).toMatchObject({ code, path: 'kv1/x' });
  expect(typed.message).toMatch(text);
  expect(typed).not.toHaveProperty('cause');
  expectNoLeak(typed, [CANARY]);
});

it('names every address that was tried', () => {
  expect(told(coded('ECONNREFUSED'), 'http://a:1', 'http://b:2').message).toContain('http://a:1, http://b:2');
});

it('speaks of client certificates where there is TLS only', () => {
  expect(told(coded('ECONNRESET'), 'http://vault:8200').hint).not.toContain('tls.cert');
});

it('an error that is typed already passes', () => {
  const error = closed();
  expect(told(error)).toBe(error);
});
