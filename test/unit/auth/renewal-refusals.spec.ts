import { expect, it } from 'vitest';
import { explainRenewal } from '../../../lib/auth/renewal-refusals.js';

// Recorded from both servers.
it.each([
  ['failed to renew entry: policies have changed, not renewing', 'VAULT_LEASE_NOT_RENEWABLE', /policies/],
  ['failed to renew entry: policies do not match', 'VAULT_LEASE_NOT_RENEWABLE', /policies/],
  ['failed to renew entry: role r does not exist during renewal', 'VAULT_LEASE_NOT_RENEWABLE', /deleted/],
  ['failed to renew entry: role entry not found', 'VAULT_LEASE_NOT_RENEWABLE', /deleted/],
  [
    'failed to renew entry: user is not part of required org',
    'VAULT_LEASE_NOT_RENEWABLE',
    /refuses the user/,
  ],
  ['failed to renew entry: invalid credentials', 'VAULT_LEASE_NOT_RENEWABLE', /refuses the user/],
  [
    'failed to renew entry: Get "http://127.0.0.1:1/user": dial tcp 127.0.0.1:1: connect: connection refused',
    'VAULT_BACKEND_FAILED',
    /does not answer/,
  ],
])('"%s" is %s', (words, code, message) => {
  const said = (pattern: RegExp) => pattern.test(words);
  const meaning = explainRenewal({ status: 500, path: 'auth/token/renew-self', namespace: '', said });
  expect(meaning).toMatchObject({ code, message: expect.stringMatching(message) });
});

it('other words keep the meaning that they have for all requests', () => {
  const request = { status: 400, path: 'auth/token/renew-self', namespace: '' };
  expect(explainRenewal({ ...request, said: () => false })).toBeUndefined();
});
