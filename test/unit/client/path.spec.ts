import { expect, it } from 'vitest';
import {
  assertHeaderValue,
  barePath,
  encodeApiPath,
  encodeFolder,
  encodeMount,
  encodePath,
  encodeSegment,
} from '../../../lib/client/path.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultError } from '../../../lib/errors/vault-error.js';
import { appRole, getCredentialsToken, getSecretToken, token } from '../../../lib/index.js';
import { expectNoLeak } from '../../support/leaks.js';

const OPTIONS = { address: 'http://vault.test', auth: token('t') };

it.each([
  ['orders', 'orders'],
  ['team/app', 'team/app'],
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
])('encodes %j as %j, which is the same in a URL', (path, encoded) => {
  expect(encodePath(path, 'path')).toBe(encoded);
  const url = new URL(`http://vault/v1/${encoded}`);
  expect([url.pathname, url.search, url.hash]).toEqual([`/v1/${encoded}`, '', '']);
  expect(decodeURIComponent(url.pathname)).toBe(`/v1/${path}`);
});

it.each([
  ['..', '".." part'],
  ['a/../b', '".." part'],
  ['a/./b', '"." part'],
  ['/..', 'empty part'],
  ['', 'empty'],
  ['/', 'empty'],
  ['a//b', 'empty part'],
  ['/a', 'empty part'],
  ['a/', 'empty part'],
  [`database/creds/${''}`, 'empty part'],
  [`${''}/creds/app`, 'empty part'],
  ['a'.repeat(4_097), 'longer than 4096'],
  ['é/'.repeat(700) + 'x', 'longer than 4096'],
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

it('accepts paths of a few KB', () => {
  const path = `${'a'.repeat(2_047)}/${'b'.repeat(2_048)}`;
  expect(encodePath(path, 'path')).toBe(path);
});

it.each(['team/kv', '/team/kv', 'team/kv/', '/team/kv/'])(
  'accepts the mount %j as servers list it, with one slash',
  (mount) => {
    expect(encodeMount(mount)).toBe('team/kv');
    expect(barePath(mount)).toBe('team/kv');
  },
);

it.each(['', '/', '//', '//kv', 'kv//', 'team//kv', undefined, 7, null])('refuses the mount %j', (mount) => {
  expect(() => encodeMount(mount as string)).toThrow(
    expect.objectContaining({ code: 'VAULT_PATH_INVALID' }) as Error,
  );
});

it('a folder to be listed may end in a slash, as servers name folders, and in one only', () => {
  expect(encodeFolder('secret/metadata/team/')).toBe('secret/metadata/team');
  expect(encodeFolder('secret/metadata/team')).toBe('secret/metadata/team');
  for (const path of ['', '/', '/secret', 'secret//', `secret/metadata/${''}/`])
    expect(() => encodeFolder(path)).toThrow(/empty part/);
});

/** CPU time: the minimum of some runs, as the machine is shared. */
function cost(work: () => unknown): number {
  return Math.min(
    ...Array.from({ length: 5 }, () => {
      const before = process.cpuUsage();
      work();
      const { user, system } = process.cpuUsage(before);
      return user + system;
    }),
  );
}

it.each<[string, (slashes: string) => unknown]>([
  ['path', (slashes) => encodePath(`users/a${slashes}b`, 'path')],
  ['path of letters', (slashes) => encodePath(`${slashes.replaceAll('/', 'a')}!`, 'path')],
  ['API path', (slashes) => encodeApiPath(`a${slashes}b`)],
  ['folder', (slashes) => encodeFolder(`a${slashes}b`)],
  ['mount', (slashes) => encodeMount(`a${slashes}b`)],
  ['role', (slashes) => encodeSegment(slashes.replaceAll('/', 'ä'), 'role')],
  ['KV secret', (slashes) => getSecretToken(`a${slashes}b`, { mount: `x${slashes}y` })],
  ['database role', (slashes) => getCredentialsToken('app', { mount: `x${slashes}y` })],
  ['mount of AppRole', (slashes) => appRole({ roleId: 'r', secretId: 's', mountPath: `x${slashes}y` })],
  ['namespace', (slashes) => resolveOptions({ ...OPTIONS, namespace: `x${slashes}y` })],
  ['address', (slashes) => resolveOptions({ ...OPTIONS, address: `http://vault.test/x${slashes}y` })],
])('%s: four times the length costs at most about four times the time', (_what, work) => {
  const attempt = (length: number) => () => {
    try {
      work('/'.repeat(length));
    } catch (error) {
      expect(error).toBeInstanceOf(VaultError);
    }
  };
  attempt(1_000)();
  // A millisecond of either is noise; quadratic work would take sixteen times as long, some seconds.
  expect(cost(attempt(200_000))).toBeLessThan(8 * cost(attempt(50_000)) + 20_000);
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
  expect((error as VaultError).message).toContain('The token contains characters');
  expectNoLeak(error, ['canary-'.repeat(0) + (value || 'not in there')]);
  expect((error as VaultError).stack).not.toContain('canary');
});

it('accepts a valid header value', () => {
  expect(assertHeaderValue('hvs.CAESIJ-_x=', 'token')).toBe('hvs.CAESIJ-_x=');
});
