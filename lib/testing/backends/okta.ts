import { Refusal } from '../server/refusal.js';
import type { DirectoryKind } from './directory-auth.js';

const API = 'https://simulated.okta.com/api/v1/authn';
const wrong = () =>
  new Refusal(
    400,
    `Okta auth failed: HTTP Method: POST - URL: ${API}: - HTTP Status Code: 401, OKTA Error Code: E0000004, ` +
      'OKTA Error Summary: Authentication failed, OKTA Error Causes: []',
  );

/** Users of Okta. A push takes time: delay the login. */
export const OKTA: DirectoryKind = {
  type: 'okta',
  notConfigured: () => new Refusal(400, 'Okta auth method not configured'),
  wrong,
  wrongAtRenewal: wrong,
  down: (status) =>
    new Refusal(
      status,
      `Okta auth failed: Post "${API}": dial tcp 127.0.0.1:443: connect: connection refused`,
    ),
  downAtLogin: 400,
  locksOut: false,
  policiesInMetadata: true,
};
