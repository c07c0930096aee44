import type { AuthMethod } from './auth-method.js';
import { passwordLogin, type PasswordOptions } from './password-login.js';

/**
 * Logs in with a user name and a password that the server itself keeps.
 *
 * At login it throws `VAULT_LOGIN_INPUT_INVALID` (servers answer a wrong password and an unknown user alike),
 * `VAULT_LOGIN_LOCKED_OUT` (after repeated failed logins, for the right password as well), `VAULT_LOGIN_DENIED`,
 * `VAULT_LOGIN_MFA_REQUIRED`, and those of the source.
 *
 * @example
 * userpass({ username: 'orders', password: fromFile('/run/secrets/password') });
 * @publicApi
 */
export function userpass(options: PasswordOptions): AuthMethod {
  return passwordLogin(options, {
    owner: 'userpass',
    locksOut: true,
    wrong: /invalid username or password|invalid credentials|missing password/i,
    advice: 'Compare both with the user at the server; deliver the current password.',
  });
}
