import type { AuthMethod } from './auth-method.js';
import { passwordLogin, type PasswordOptions } from './password-login.js';

/**
 * Logs in with a user of an LDAP directory (HashiCorp Vault, or a plugin). The server asks the directory at each renewal,
 * too; while that is down, renewals fail and are repeated, and a login follows before the token ends.
 *
 * At login it throws `VAULT_LOGIN_INPUT_INVALID`, `VAULT_LOGIN_LOCKED_OUT` (after repeated failed logins, for the right
 * password as well), `VAULT_BACKEND_FAILED` (the directory does not answer), `VAULT_LOGIN_DENIED`,
 * `VAULT_LOGIN_MFA_REQUIRED`, and those of the source.
 *
 * @example
 * ldap({ username: 'svc-orders', password: fromFile('/run/secrets/password') });
 * @publicApi
 */
export function ldap(options: PasswordOptions): AuthMethod {
  return passwordLogin(options, {
    owner: 'ldap',
    locksOut: true,
    system: 'the LDAP directory',
    wrong: /invalid credentials/i,
    advice:
      'Compare both with the directory. If other users fail, too, correct binddn and bindpass of the method.',
  });
}
