import { Refusal } from '../server/refusal.js';
import type { DirectoryKind } from './directory-auth.js';
import { renewalRefused } from './login-tokens.js';

const unreachable = (host: string, status: number) =>
  new Refusal(
    status,
    'ldap.(Client).Authenticate: failed to connect: 1 error occurred:\n\t* ldap.(Client).connect: error connecting to host ' +
      `"ldap://${host}": LDAP Result Code 200 "Network Error": dial tcp ${host}:389: connect: connection refused\n\n`,
  );

/** Users of an LDAP directory. */
export const LDAP: DirectoryKind = {
  type: 'ldap',
  notConfigured: () => unreachable('127.0.0.1', 500),
  noPassword: () =>
    new Refusal(500, 'password cannot be of zero length when passwordless binds are being denied'),
  wrong: () => new Refusal(400, 'invalid credentials'),
  wrongAtRenewal: () => renewalRefused('invalid credentials', 400),
  down: (status) => unreachable('ldap', status),
  downAtLogin: 500,
  locksOut: true,
  policiesInMetadata: false,
};
