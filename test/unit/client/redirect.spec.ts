import { expect, it } from 'vitest';
import { redirectTarget } from '../../../lib/client/redirect.js';
import { RedirectRefused } from '../../../lib/client/transport-errors.js';

const ORIGINS = ['https://one:8200', 'https://two:8200', 'http://two:8200'];
const target = (method: string, status: number, location: unknown, from = 'https://one:8200') =>
  redirectTarget({ status, location, from }, method, ORIGINS);

it('a redirect to a configured address is followed', () => {
  expect(target('GET', 302, 'https://two:8200/v1/x').href).toBe('https://two:8200/v1/x');
  expect(target('POST', 307, 'https://two:8200/v1/x').href).toBe('https://two:8200/v1/x');
});

it.each<[string, string, number, unknown]>([
  ['to another host', 'GET', 307, 'https://evil:8200/v1/x'],
  ['out of TLS, even to a configured address', 'GET', 307, 'http://two:8200/v1/x'],
  ['of a write with a status that does not keep its method', 'POST', 302, 'https://two:8200/v1/x'],
  ['to nowhere', 'GET', 307, ''],
  ['without an address', 'GET', 307, undefined],
])('a redirect %s is not followed', (_title, method, status, location) => {
  expect(() => target(method, status, location)).toThrow(RedirectRefused);
});
