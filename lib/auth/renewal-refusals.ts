import type { Explain, Explanation } from '../client/failed-response.js';

const LOGIN_FOLLOWS = 'A login follows by itself.';

/** Words of methods whose directory or service does not answer at a renewal. */
const DOWN =
  /dial |connection refused|read udp|no such host|timeout|HTTP Status Code: (?:429|5\d\d)|: (?:403|429|5\d\d) /i;
/** Words of methods whose directory or service refuses the user at a renewal. */
const REFUSED =
  /invalid credentials|access denied by the authentication server|Okta auth|part of required org|Bad credentials/i;

/** Refused renewals by the words of the auth methods that made the token; the first words that match decide. */
const MEANINGS: readonly (readonly [words: RegExp, meaning: Explanation])[] = [
  [
    /policies (?:have changed|do not match)/i,
    {
      code: 'VAULT_LEASE_NOT_RENEWABLE',
      message:
        'The policies of the user or role have changed since the login, so the token cannot be renewed.',
      hint: LOGIN_FOLLOWS,
    },
  ],
  [
    /constraints .*login certificate|client certificate (?:found|must be supplied|supplied)/i,
    {
      code: 'VAULT_LEASE_NOT_RENEWABLE',
      message: 'The token cannot be renewed with this client certificate: its login presented another one.',
      hint: LOGIN_FOLLOWS,
    },
  ],
  [
    /role .*(?:does not exist|not found)/i,
    {
      code: 'VAULT_LEASE_NOT_RENEWABLE',
      message: 'The role of the token was deleted since the login, so the token cannot be renewed.',
      hint: `${LOGIN_FOLLOWS} It needs a role of that name.`,
    },
  ],
  [
    DOWN,
    {
      code: 'VAULT_BACKEND_FAILED',
      message: 'The auth method of the token does not renew it: the system that it asks does not answer.',
      hint: 'The token stays valid until its end. The renewal is repeated; a login follows before the end.',
    },
  ],
  [
    REFUSED,
    {
      code: 'VAULT_LEASE_NOT_RENEWABLE',
      message: 'The token cannot be renewed: the system that its auth method asks refuses the user.',
      hint: `${LOGIN_FOLLOWS} It reads its inputs again; a renewal repeats those of the login before.`,
    },
  ],
];

/** The meaning of a refused renewal. */
export const explainRenewal: Explain = ({ said }) => MEANINGS.find(([words]) => said(words))?.[1];
