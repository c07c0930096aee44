import type { AuthMethod } from './auth-method.js';
import type { Explain } from '../client/failed-response.js';
import { passwordLogin, type PasswordOptions } from './password-login.js';
import { systemFailed } from './system-failed.js';

/**
 * Options of {@link okta}.
 *
 * @publicApi
 */
export interface OktaOptions extends PasswordOptions {
  /**
   * Milliseconds for which a login, and a renewal, wait for the user to confirm a push. The server gives up after 90 s by
   * default. @default 90000
   */
  timeout?: number;
}

/** Milliseconds: `default_max_request_duration` of the server. */
const PUSH = 90_000;

/**
 * Logs in with a user of Okta (HashiCorp Vault, or a plugin). If Okta sends a push, the login waits for it, longer than
 * other requests; the start waits as long. Okta is asked at each renewal, too, and may send a push for it: use a long
 * `token_ttl`, or a user without second factor.
 *
 * At login it throws `VAULT_LOGIN_INPUT_INVALID`, `VAULT_LOGIN_MFA_REQUIRED` (Okta asks for another factor than a push),
 * `VAULT_LOGIN_DENIED` (the user rejected the push, or let it time out), `VAULT_BACKEND_FAILED`, and those of
 * the source.
 *
 * @example
 * okta({ username: 'orders@example.com', password: fromFile('/run/secrets/password') });
 * @publicApi
 */
export function okta(options: OktaOptions): AuthMethod {
  const method = passwordLogin(options, {
    owner: 'okta',
    known: ['timeout'],
    locksOut: false,
    system: 'Okta',
    wrong: /Okta(?: MFA)? auth(?:entication)? failed/i,
    advice: 'The password may have expired, or Okta has locked the user out.',
    explain,
  });
  return { ...method, timeout: options?.timeout ?? PUSH };
}

const explain: Explain = ({ said, path }) => {
  if (said(/multi-factor authentication denied/i))
    return {
      code: 'VAULT_LOGIN_DENIED',
      message: `The user rejected the push of Okta for the login at ${path}.`,
      hint: 'If the user did not expect it, another process logs in as this user.',
    };
  if (said(/failed to complete multi-factor|exiting pending mfa/i))
    return {
      code: 'VAULT_LOGIN_DENIED',
      message: `The push of Okta for the login at ${path} was not confirmed in time.`,
      hint: 'Use a user without second factor for an application that runs unattended.',
    };
  if (said(/factor is required|passcode parameter is required|nonce must be provided|MFA enrollment/i))
    return {
      code: 'VAULT_LOGIN_MFA_REQUIRED',
      message: `Okta asks for a second factor at ${path} that cannot be given here.`,
      hint:
        'Enrol the user for Okta Verify with push, exclude it from that policy of Okta, or send `totp` and `provider` of Okta ' +
        'with loginRequest.',
    };
  return said(/HTTP Status Code: (?:429|5\d\d)/) ? systemFailed('Okta') : undefined;
};
