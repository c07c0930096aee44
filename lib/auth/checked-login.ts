import { isDuration, isObject, isToken } from '../client/answer-members.js';
import type { Deadline } from '../clock/deadline.js';
import { kindOf } from '../errors/kind-of.js';
import { VaultError } from '../errors/vault-error.js';
import { isSecret, type Secret } from '../secret/secret.js';
import type { Login } from './auth-method.js';

/** A login with every member, and the time from which its TTL counts. */
export interface CheckedLogin
  extends Required<Omit<Login, 'namespace' | 'token'>>, Pick<Login, 'namespace' | 'token'> {
  readonly sentAt: Deadline;
}

/**
 * Checks the result of an auth method, which may be one of the application.
 *
 * @throws VaultError `VAULT_EXTENSION_INVALID`, which shows nothing of the result
 */
export function checkLogin(
  login: Login,
  method: string,
  sentAt: (token: Secret | undefined) => Deadline,
): CheckedLogin {
  const problem = problemOf(login);
  if (problem !== undefined) {
    throw new VaultError({
      code: 'VAULT_EXTENSION_INVALID',
      message: `The auth method "${method}" returned no valid login: ${problem}.`,
      hint: 'Return the result of `context.logIn` or `context.lookUp`, or an object with `token`, `ttl` and `own`.',
    });
  }
  const { token, ttl, own, renewable = false, accessor = '', identity = accessor } = login;
  const { uses = 0, type = 'service', namespace } = login;
  const checked = { ttl, own, renewable, accessor, identity, uses, type, sentAt: sentAt(token) };
  return { ...checked, ...(token && { token }), ...(namespace !== undefined && { namespace }) };
}

function problemOf(login: unknown): string | undefined {
  if (!isObject(login)) return `it is ${kindOf(login)}`;
  const { token, ttl, own, renewable = false, accessor = '', uses = 0, type = '', namespace = '' } = login;
  const { identity = '' } = login;
  const attached = token === undefined && own === false;
  if (!attached && !isSecret(token)) return `\`token\` is ${kindOf(token)}, not a Secret`;
  if (isSecret(token) && !isToken(token.reveal())) return '`token` is not a line of printable characters';
  if (!isSeconds(ttl)) return '`ttl` is not a number of seconds';
  if (typeof own !== 'boolean') return `\`own\` is ${kindOf(own)}, not true or false`;
  if (typeof renewable !== 'boolean') return '`renewable` is not true or false';
  if (!isDuration(uses)) return '`uses` is not a whole number';
  const texts = Object.entries({ accessor, identity, type, namespace }).find(
    ([, text]) => typeof text !== 'string',
  );
  return texts && `\`${texts[0]}\` is not a string`;
}

/** A method may count fractions of a second. */
function isSeconds(ttl: unknown): boolean {
  return typeof ttl === 'number' && ttl >= 0 && isDuration(Math.ceil(ttl));
}
