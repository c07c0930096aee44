import { encodeApiPath } from '../client/path.js';
import { isSecret } from '../secret/secret.js';
import { isSource, missingIn, problemsOf, type SecretSource } from '../secret/secret-source.js';
import type { AuthMethod } from './auth-method.js';
import { givenOptions, placeOf, type MountOptions } from './login-request.js';

/**
 * Options of {@link loginRequest}.
 *
 * @publicApi
 */
export interface LoginRequestOptions extends Omit<MountOptions, 'mountPath'> {
  /** API path below `/v1/`, not encoded: `auth/kerberos/login`. */
  path: string;
  /**
   * Body of the login. A member may be a {@link SecretSource} other than a string (a function, `fromEnv`, `fromFile`,
   * `fromWrappedToken`, a `Secret`, bytes): it is read again at each login. Other members are sent as they are.
   * @default {}
   */
  body?: Readonly<Record<string, unknown>>;
}

/**
 * Logs in with any other auth method or plugin: one request, whose answer has the token. Renewal, the next login and
 * revocation are the same as for the other methods.
 *
 * At login it throws `VAULT_LOGIN_DENIED` (403), `VAULT_LOGIN_MFA_REQUIRED`, the codes of any request, and those of the
 * sources.
 *
 * @example
 * loginRequest({ path: 'auth/cf/login', body: { role: 'orders', cf_instance_cert: fromFile('/etc/cf/cert.b64') } });
 * @publicApi
 */
export function loginRequest(options: LoginRequestOptions): AuthMethod {
  const names = { required: ['path'], optional: ['body', 'namespace', 'totp'] } as const;
  const { given, problems } = givenOptions('loginRequest', options, names);
  const { path, body = {} } = given;
  const label = 'auth: loginRequest';
  if (!isLoginPath(path))
    problems.push(`\`${label}\` needs the \`path\` of a login below auth/, as "auth/kerberos/login"`);
  const { place, problems: ofPlace } = placeOf('loginRequest', given);
  problems.push(...ofPlace);
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    problems.push(`\`${label}\` has a \`body\` that is not an object`);
  else
    for (const [name, value] of Object.entries(body))
      if (value === undefined) problems.push(`\`${label}\` has a \`body.${name}\` that is undefined`);
      else if (isRead(value)) problems.push(...problemsOf(value));
  return {
    name: 'loginRequest',
    problems,
    async missing() {
      for (const [name, value] of Object.entries(body)) {
        const reason = isRead(value) ? await missingIn(value, name) : undefined;
        if (reason !== undefined) return reason;
      }
      return undefined;
    },
    async login(context) {
      const sent: Record<string, unknown> = { ...body };
      for (const [name, value] of Object.entries(body))
        if (isRead(value)) sent[name] = await context.read(value, { ...place, name });
      return context.logIn(path as string, sent, place);
    },
  };
}

/** Whether a member is read at each login; a string or a list is one of the configuration. */
function isRead(value: unknown): value is SecretSource {
  if (typeof value === 'string' || Array.isArray(value)) return false;
  return isSecret(value) || isSource(value);
}

function isLoginPath(path: unknown): path is string {
  try {
    return typeof path === 'string' && /^auth\/[^/]/.test(path) && encodeApiPath(path) !== '';
  } catch {
    return false;
  }
}
