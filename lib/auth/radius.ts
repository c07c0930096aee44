import type { AuthMethod } from './auth-method.js';
import { passwordLogin, type PasswordOptions } from './password-login.js';

/**
 * Logs in with a user of a RADIUS server (HashiCorp Vault, or a plugin), which is asked at each renewal, too.
 *
 * At login it throws `VAULT_LOGIN_INPUT_INVALID`, `VAULT_BACKEND_FAILED` (the RADIUS server does not answer),
 * `VAULT_LOGIN_DENIED`, `VAULT_LOGIN_MFA_REQUIRED`, and those of the source.
 *
 * @example
 * radius({ username: 'orders', password: fromFile('/run/secrets/password') });
 * @publicApi
 */
export function radius(options: PasswordOptions): AuthMethod {
  return passwordLogin(options, {
    owner: 'radius',
    locksOut: false,
    system: 'the RADIUS server',
    wrong: /access denied by the authentication server|password cannot be empty/i,
    advice: 'Compare both with the RADIUS server, which may lock users out by itself.',
  });
}
