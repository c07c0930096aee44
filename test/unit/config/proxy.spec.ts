import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { resolveProxy } from '../../../lib/config/proxy.js';
import { Secret } from '../../../lib/secret/secret.js';

const ADDRESS = 'https://vault.internal:8200';

function resolved(given: unknown, addresses = [ADDRESS], env: Record<string, string> = {}) {
  const problems: string[] = [];
  return { proxy: resolveProxy(given, addresses, problems, () => env), problems: problems.join('; ') };
}

it('without the option, the environment is not read', () => {
  const read = () => {
    throw new Error('read');
  };
  expect(resolveProxy(undefined, [ADDRESS], [], read)).toBeUndefined();
  expect(resolveProxy('http://proxy:3128', [ADDRESS], [], read)).toMatchObject({ url: 'http://proxy:3128' });
});

it('is used for every address that is not on this machine', () => {
  const local = ['https://localhost:8200', 'https://127.0.0.1:8200', 'https://[::1]', 'unix:///run/a.sock'];
  const remote = [ADDRESS, 'https://10.0.0.1:8200/vault'];
  expect(resolved('http://proxy:3128', [...local, ...remote]).proxy?.addresses).toEqual(remote);
});

it.each<[string, Record<string, string>, string, string | undefined]>([
  ['HTTPS_PROXY for https', { HTTPS_PROXY: 'http://a:1', HTTP_PROXY: 'http://b:1' }, ADDRESS, 'http://a:1'],
  ['HTTP_PROXY for http', { HTTPS_PROXY: 'http://a:1', HTTP_PROXY: 'http://b:1' }, 'http://v', 'http://b:1'],
  ['no HTTP_PROXY for https', { HTTP_PROXY: 'http://b:1' }, ADDRESS, undefined],
  ['lower case', { https_proxy: 'http://a:1' }, ADDRESS, 'http://a:1'],
  ['upper case first', { https_proxy: 'http://a:1', HTTPS_PROXY: 'http://b:1' }, ADDRESS, 'http://b:1'],
  ['an empty one as unset', { HTTPS_PROXY: '', https_proxy: 'http://a:1' }, ADDRESS, 'http://a:1'],
  ['one without a scheme', { HTTPS_PROXY: 'proxy:3128' }, ADDRESS, 'http://proxy:3128'],
  ['nothing', {}, ADDRESS, undefined],
])('of the environment: %s', (_what, env, address, url) => {
  expect(resolved('env', [address], env)).toMatchObject({ problems: '' });
  expect(resolved('env', [address], env).proxy?.url).toBe(url);
});

it.each<[string, string, boolean]>([
  ['vault.internal', ADDRESS, true],
  ['internal', ADDRESS, true],
  ['.internal', ADDRESS, true],
  ['*.internal', ADDRESS, true],
  ['.vault.internal', ADDRESS, false],
  ['ault.internal', ADDRESS, false],
  ['VAULT.internal', ADDRESS, true],
  ['vault.internal:8200', ADDRESS, true],
  ['vault.internal:443', ADDRESS, false],
  ['vault.internal:443', 'https://vault.internal', true],
  ['a, b,vault.internal', ADDRESS, true],
  ['*', ADDRESS, true],
  ['', ADDRESS, false],
  [',', ADDRESS, false],
  ['10.0.0.0/8', 'https://10.2.3.4:8200', true],
  ['10.0.0.0/8', 'https://11.2.3.4:8200', false],
  ['10.0.0.0/33', 'https://10.2.3.4:8200', false],
  ['10.2.3.4', 'https://10.2.3.4:8200', true],
  ['10.2.3.4:8200', 'https://10.2.3.4:8200', true],
  ['10.2.3.4:8201', 'https://10.2.3.4:8200', false],
  ['2.3.4', 'https://10.2.3.4:8200', false],
  ['fd00::/8', 'https://[fd00::1]:8200', true],
  ['fd00::/8', 'https://10.2.3.4:8200', false],
  ['fd00::1', 'https://[fd00::1]:8200', true],
  ['[fd00::1]:8200', 'https://[fd00::1]:8200', true],
  ['fd00::2', 'https://[fd00::1]:8200', false],
  ['FD00::1', 'https://[fd00::1]:8200', true],
  ['fd00:0:0::1', 'https://[FD00::1]:8200', true],
  ['[fd00:0::1]:8200', 'https://[fd00::1]:8200', true],
  ['[fd00:0::1]:8201', 'https://[fd00::1]:8200', false],
  ['10.2.3.04', 'https://10.2.3.4:8200', false],
])('NO_PROXY=%s for %s: %s', (NO_PROXY, address, excepted) => {
  const { proxy } = resolved('env', [address], { HTTPS_PROXY: 'http://proxy:3128', NO_PROXY });
  expect(proxy?.addresses).toEqual(excepted ? [] : [address]);
});

it.each<[string, unknown, RegExp]>([
  ['an object', { url: 'x' }, /`proxy` must be "env", or the URL of a proxy, as "http.*: found an object/],
  ['an empty text', '', /found an empty string/],
  ['SOCKS', 'socks5://proxy:1080', /names a SOCKS proxy/],
  ['no scheme', 'proxy.internal:3128', /must be a URL that starts with http:\/\/ or https:\/\//],
  ['a blank', 'http://pro xy:3128', /cannot be read as a URL/],
  ['a path', 'http://proxy:3128/x', /must be only scheme, host and port/],
  ['a lone %', 'http://u:%zz@proxy:3128', /has a "%" in its user name or password/],
  ['a password alone', 'http://:canary-password@proxy:3128', /a password without a user name/],
  ['a port', 'http://u:canary-password@proxy:99999', /cannot be read as a URL/],
])('a proxy with %s', (_what, given, problem) => {
  for (const one of [given, new Secret(given)]) {
    const { proxy, problems } = resolved(one);
    expect(problems).toMatch(problem);
    expect(problems).not.toContain('canary');
    expect(proxy).toBeUndefined();
  }
});

it('a problem of a variable names the variable', () => {
  expect(resolved('env', [ADDRESS], { https_proxy: 'socks5://canary' }).problems).toMatch(
    /^https_proxy names a SOCKS/,
  );
});

it('user name and password are decoded, and not printed', () => {
  const { proxy } = resolved(new Secret('http://canary-user:canary%40pass@proxy.internal'));
  expect(proxy?.authorization?.reveal()).toBe(
    `Basic ${Buffer.from('canary-user:canary@pass').toString('base64')}`,
  );
  expect(proxy?.url).toBe('http://proxy.internal');
  expect(inspect(proxy, { depth: 9, showHidden: true }) + JSON.stringify(proxy)).not.toMatch(/canary|Basic/);
  expect(resolved('http://only-user@proxy').proxy?.authorization?.reveal()).toBe(
    `Basic ${Buffer.from('only-user:').toString('base64')}`,
  );
});
