import { expect, it } from 'vitest';
import { redirectTarget } from '../../../lib/client/redirect.js';
import { serverAddresses } from '../../../lib/client/server-address.js';
import { RedirectRefused } from '../../../lib/client/transport-errors.js';

const SOCKET = 'unix:///run/agent.sock';
const ADDRESSES = serverAddresses(
  ['https://one:8200', 'https://two:8200', 'http://two:8200', SOCKET],
  undefined,
);
const target = (method: string, status: number, location: unknown, from = 0) =>
  redirectTarget({ status, location, from: ADDRESSES[from]! }, method, ADDRESSES);

it('a redirect to a configured address is followed', () => {
  expect(target('GET', 302, 'https://two:8200/v1/x?list=true')).toEqual({
    index: 1,
    path: '/v1/x?list=true',
  });
  expect(target('POST', 307, 'https://two:8200/v1/x')).toEqual({ index: 1, path: '/v1/x' });
});

it('a redirect without a host leads to the same address, also over a socket', () => {
  expect(target('GET', 307, '/v1/x')).toEqual({ index: 0, path: '/v1/x' });
  expect(target('GET', 307, '/v1/x', 3)).toEqual({ index: 3, path: '/v1/x' });
});

it.each<[string, string, number, unknown, string, number?]>([
  ['to another host', 'GET', 307, 'https://evil:8200/v1/x', 'https://evil:8200'],
  ['out of TLS, even to a configured address', 'GET', 307, 'http://two:8200/v1/x', 'http://two:8200'],
  ['of a write with a status that does not keep its method', 'POST', 302, '/v1/x', 'https://one:8200'],
  ['the same over a socket', 'POST', 302, '/v1/x', SOCKET, 3],
  ['of another scheme', 'GET', 307, 'unix:///run/other.sock', 'an address with unix:', 3],
  ['to nowhere', 'GET', 307, '', 'an address that is missing or invalid'],
  ['without an address', 'GET', 307, undefined, 'an address that is missing or invalid'],
])('a redirect %s is not followed', (_title, method, status, location, name, from) => {
  const follow = () => target(method, status, location, from);
  expect(follow).toThrow(RedirectRefused);
  expect(follow).toThrow(expect.objectContaining({ origin: name }));
});
