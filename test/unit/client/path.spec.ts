import { expect, it } from 'vitest';
import { assertHeaderValue, encodeApiPath, encodePath, encodeSegment } from '../../../lib/client/path.js';
import { VaultError } from '../../../lib/errors/vault-error.js';
import { expectNoLeak } from '../../support/leaks.js';

it.each([
  ['orders', 'orders'],
  ['team/app', 'team/app'],
  ['/team/app/', 'team/app'],
  ['a b', 'a%20b'],
  ['a#b', 'a%23b'],
  ['a?b=c', 'a%3Fb=c'],
  ['100%', '100%25'],
  ['%2e%2e/x', '%252e%252e/x'],
  ['a%2Fb', 'a%252Fb'],
  ["o'brien", "o'brien"],
  ['a&b', 'a%26b'],
  ['a&#x2F;b'.replace('/', ''), 'a%26%23x2F%3Bb'],
  ['{{token}}', '%7B%7Btoken%7D%7D'],
  ['user@host:1,2+3=4', 'user@host:1,2+3=4'],
  ['ключ/😀', '%D0%BA%D0%BB%D1%8E%D1%87/%F0%9F%98%80'],
  ['...', '...'],
  ['..a/.b', '..a/.b'],
  ['a\\..\\b', 'a%5C..%5Cb'],
])('encodes %j as %j, which means the same to a URL', (path, encoded) => {
  expect(encodePath(path, 'path')).toBe(encoded);
  const url = new URL(`http://vault/v1/${encoded}`);
  expect([url.pathname, url.search, url.hash]).toEqual([`/v1/${encoded}`, '', '']);
  expect(decodeURIComponent(url.pathname)).toBe(`/v1/${path.replace(/^\/|\/$/g, '')}`);
});

it.each([
  ['..', '".." part'],
  ['a/../b', '".." part'],
  ['a/./b', '"." part'],
  ['/..', '".." part'],
  ['', 'empty'],
  ['/', 'empty'],
  ['a//b', 'empty part'],
  ['a\nb', 'control character'],
  ['a\u0000b', 'control character'],
  ['a\u007fb', 'control character'],
  ['a\tb', 'control character'],
  ['\ud800', 'well-formed'],
  [undefined, 'not a string'],
  [7, 'not a string'],
])('refuses %j: %s', (path, problem) => {
  for (const encode of [encodePath, encodeApiPath]) {
    const attempt = () => encode(path as string, 'path');
    expect(attempt).toThrow(VaultError);
    expect(attempt).toThrow(expect.objectContaining({ code: 'VAULT_PATH_INVALID' }) as Error);
    expect(attempt).toThrow(problem);
  }
});

it.each(['a?b', 'a#b', 'v1/secret/data/x', '/v1/sys/mounts'])('refuses %j as an API path', (path) => {
  expect(() => encodeApiPath(path)).toThrow(expect.objectContaining({ code: 'VAULT_PATH_INVALID' }) as Error);
});

it('keeps a name in its segment', () => {
  expect(encodeSegment('a b', 'role')).toBe('a%20b');
  for (const name of ['', 'a/b', '..', '.', '../x', undefined]) {
    expect(() => encodeSegment(name as string, 'role')).toThrow(/The role /);
  }
});

it.each([
  'tok\nen-canary',
  'tok\r\nX-Evil: canary',
  'töken-canary',
  'tok en-canary',
  '',
  'token-canary\u0000',
])('refuses the header value %j without printing it', (value) => {
  let error: unknown;
  try {
    assertHeaderValue(value, 'token');
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
  expect((error as VaultError).message).toContain('The token holds characters');
  expectNoLeak(error, ['canary-'.repeat(0) + (value || 'not in there')]);
  expect((error as VaultError).stack).not.toContain('canary');
});

it('lets a good header value through', () => {
  expect(assertHeaderValue('hvs.CAESIJ-_x=', 'token')).toBe('hvs.CAESIJ-_x=');
});
