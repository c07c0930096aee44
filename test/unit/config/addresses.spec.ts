import { expect, it } from 'vitest';
import { resolveAddresses } from '../../../lib/config/addresses.js';

const problemsOf = (address: unknown) => {
  const problems: string[] = [];
  resolveAddresses(address, problems);
  return problems.join('; ');
};

it.each<[string, unknown, RegExp]>([
  ['a blank before it', ' https://vault:8200', /`address` has blanks or line breaks in it/],
  ['a line break after it', 'https://vault:8200\n', /has blanks or line breaks/],
  ['a line break within, which a URL loses', 'https://vault\n.internal:8200', /has blanks or line breaks/],
  ['a byte order mark', '\uFEFFhttps://vault:8200', /begins with a byte order mark/],
  ['quotes', '"https://vault:8200"', /has quotation marks around it/],
  ['one quote', "'https://vault:8200", /has quotation marks around it/],
  ['a URL object', new URL('https://vault:8200'), /found a URL object, so give its `href`/],
  ['a number', 8200, /`address` must be a string, as "https:.*: found a number/],
  ['null', null, /must be a string, as .*: found null/],
  ['a promise', Promise.resolve(''), /found a promise/],
  ['a Buffer', Buffer.from('https://vault'), /found a Buffer/],
  ['an invalid one of several', ['https://a', 7], /`address\[1\]` must be a string, as .*: found a number/],
  ['port 99999', 'https://vault:99999', /has a port that is not a number from 1 to 65535/],
  ['port 0', 'https://vault:0', /has a port that is not a number/],
  ['a port that is no number', 'https://vault:82oo', /has a port that is not a number/],
  ['a port whose variable is empty', 'https://vault:', /has a port that is not a number/],
  ['IPv6 without brackets', 'https://fe80::1:8200', /has an IPv6 address without brackets/],
  ['IPv6 without brackets and port', 'http://::1', /has an IPv6 address without brackets/],
  ['a comma list', 'https://a:8200,https://b:8200', /is a list in one string: give an array/],
  ['a comma list that a URL takes', 'https://a,https://b', /is a list in one string/],
  ['a comma list of hosts', 'https://a:8200,b:8200', /is a list in one string/],
  ['a list with blanks', 'https://a:8200 https://b:8200', /is a list in one string/],
  ['no scheme', 'vault.internal:8200', /must be a URL that starts with http:\/\/ or https:\/\//],
  ['one slash', 'https:/vault', /must be a URL that starts with/],
  ['three slashes', 'https:///vault', /must be a URL that starts with/],
  ['no host', 'https://', /must be a URL that starts with/],
  ['an invalid host', 'https://1.2.3.4.5:8200', /has a host that cannot be read/],
  ['a socket by a relative path', 'unix://run/a.sock', /must name a socket by its absolute path, as "unix:/],
  ['a socket with one slash', 'unix:/run/a.sock', /must name a socket by its absolute path/],
  ['the folder of a socket', 'unix:///run/', /must name a socket by its absolute path/],
  ['no socket', 'unix://', /must name a socket by its absolute path/],
  ['a blank in the path of a socket', 'unix:///run/a b', /a socket whose path has blanks/],
  ['a query in the path of a socket', 'unix:///run/a?b', /a socket whose path has blanks, "\?" or "#"/],
  ['a socket whose path is too long', `unix:///${'a'.repeat(107)}`, /longer than 107 bytes/],
  ['only the path of a socket', '/run/a.sock', /is a path: write a socket as "unix:\/\/\//],
  ['a list with a socket', 'https://a:8200,unix:///run/a', /is a list in one string/],
  ['both schemes, one behind a blank', ['https://a:8200', ' http://b:8200'], /`address\[1\]` has blanks/],
  ['both schemes', ['https://a:8200', 'HTTP://b:8200'], /mixes http:\/\/ and https:\/\//],
])('an address with %s', (_what, address, problem) => {
  expect(problemsOf(address)).toMatch(problem);
});

it.each([
  'https://vault.internal:8200',
  'https://[fe80::1]:8200',
  'https://[::1]',
  'https://gateway/vault,eu',
  'https://ключ.example:8200/',
  'unix:///run/openbao/agent.sock',
])('%s is valid', (address) => {
  expect(problemsOf(address)).toBe('');
});

it('a socket may stand beside http or https', () => {
  expect(problemsOf(['unix:///run/a', 'https://a:8200'])).toBe('');
  expect(problemsOf(['unix:///run/a', 'http://localhost:8200'])).toBe('');
  expect(problemsOf(['unix:///run/a', 'http://a:8200', 'https://b:8200'])).toMatch(/mixes http/);
});

it('nothing of it is printed', () => {
  const canary = 'hvs.canary-address-7c1d';
  for (const address of [
    canary,
    ` ${canary}`,
    `"${canary}"`,
    `https://${canary}:99999`,
    `https://u:${canary}@v`,
  ]) {
    const problems = problemsOf(address);
    expect(problems).not.toBe('');
    expect(problems).not.toContain(canary);
  }
});
