import type { Explain } from '../client/failed-response.js';

const LOGIN_FOLLOWS = 'A login follows by itself.';

/** The meaning of a refused renewal, by the words of the auth methods that made the token. */
export const explainRenewal: Explain = ({ said }) => {
  if (said(/policies (?:have changed|do not match)/i)) {
    return {
      code: 'VAULT_LEASE_NOT_RENEWABLE',
      message:
        'The policies of the user or role have changed since the login, so the token cannot be renewed.',
      hint: LOGIN_FOLLOWS,
    };
  }
  if (said(/constraints .*login certificate|client certificate (?:found|must be supplied|supplied)/i)) {
    return {
      code: 'VAULT_LEASE_NOT_RENEWABLE',
      message: 'The token cannot be renewed with this client certificate: its login presented another one.',
      hint: LOGIN_FOLLOWS,
    };
  }
  if (said(/role .*(?:does not exist|not found)/i)) {
    return {
      code: 'VAULT_LEASE_NOT_RENEWABLE',
      message: 'The role of the token was deleted since the login, so the token cannot be renewed.',
      hint: `${LOGIN_FOLLOWS} It needs a role of that name.`,
    };
  }
  if (said(ASKED)) {
    return {
      code: 'VAULT_BACKEND_FAILED',
      message:
        'The auth method of the token does not renew it: the system that it asks refuses the user, or does not answer.',
      hint: 'The token stays valid until its end. The renewal is repeated; a login follows before the end.',
    };
  }
  return undefined;
};

/** Words of methods that ask a directory or a service at each renewal. */
const ASKED =
  /invalid credentials|access denied by the authentication server|Okta auth|part of required org|Bad credentials|dial |connection refused|read udp|no such host|timeout/i;
