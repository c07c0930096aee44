import { expect, it } from 'vitest';
import { checkRequest, type CheckedRequest } from '../../../lib/client/request-check.js';
import type { VaultError } from '../../../lib/errors/vault-error.js';
import { expectNoLeak } from '../../support/leaks.js';

const CANARY = 'canary-in-a-request';
const check = (more: object) => checkRequest({ method: 'GET', path: 'kv1/x', ...more } as CheckedRequest);

function refusal(more: object): VaultError {
  try {
    check(more);
  } catch (error) {
    return error as VaultError;
  }
  throw new Error('it was not refused');
}

it.each([
  'transfer-encoding',
  'Transfer-Encoding',
  'connection',
  'keep-alive',
  'upgrade',
  'expect',
  'te',
  'trailer',
  'proxy-authorization',
  'Proxy-Connection',
  'content-length',
  'content-encoding',
  'accept-encoding',
  'host',
  'X-Vault-Token',
  'x-vault-namespace',
  'x-vault-index',
  'x-vault-request',
])('the header %s belongs to the connection', (name) => {
  const error = refusal({ headers: { [name]: CANARY } });
  expect(error).toMatchObject({ code: 'VAULT_REQUEST_INVALID', path: 'kv1/x' });
  expect(error.message).toContain(`"${name.toLowerCase()}"`);
  expect(error.hint).toMatch(/^Leave it out\. \w/);
  expectNoLeak(error, [CANARY]);
});

it.each<[string, object]>([
  ['a name with a blank', { 'two words': 'x' }],
  ['a name with a line break', { 'x\r\ny': 'x' }],
  ['a name that is not ASCII', { größe: 'x' }],
  ['an empty name', { '': 'x' }],
  ['a long name', { ['x'.repeat(200)]: 'x' }],
  ['one name twice', { 'X-A': '1', 'x-a': '2' }],
  ['a value that is a number', { 'x-a': 1 }],
  ['a value that is a list', { 'x-a': ['1', '2'] }],
  ['a value that is missing', { 'x-a': undefined }],
  ['Headers of fetch', new Headers({ 'x-vault-wrap-ttl': '60s' })],
  ['a Map', new Map([['x-a', '1']])],
  ['a list', ['x-a', '1']],
  ['a text', 'x-a: 1' as unknown as object],
])('invalid headers are refused: %s', (_what, headers) => {
  expect(refusal({ headers })).toMatchObject({ code: 'VAULT_REQUEST_INVALID' });
});

it.each<[string, object]>([
  ['no method of Vault', { method: 'CONNECT' }],
  ['a method in lower case', { method: 'get' }],
  ['a method that forges a line', { method: 'GET /x HTTP/1.1\r\n' }],
  ['no method', { method: undefined }],
  ['a timeout of 0', { timeout: 0 }],
  ['an invalid timeout', { timeout: NaN }],
  ['a timeout as a text', { timeout: '5s' }],
  ['an invalid signal', { signal: {} }],
  ['a controller in the place of its signal', { signal: new AbortController() }],
])('refused before any request: %s', (_what, request) => {
  expect(refusal(request)).toMatchObject({
    code: 'VAULT_REQUEST_INVALID',
    hint: expect.stringMatching(/\w/),
  });
});

it('headers that a caller may set pass, with names in lower case', () => {
  const headers = {
    'Content-Type': 'application/merge-patch+json',
    'X-Vault-Wrap-TTL': '60s',
    'X-Vault-Policy-Override': 'true',
    'X-Vault-MFA': 'totp:123456',
    'X-Vault-Forward': 'active-node',
    Accept: 'application/json, text/plain',
    Authorization: 'Bearer of-the-gateway',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    constructor: 'a name like any other',
  };
  const checked = check({ headers, timeout: 5_000, signal: new AbortController().signal });
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  expect(Object.entries(checked.headers)).toEqual(lower);
});
