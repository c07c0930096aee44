import { randomUUID } from 'node:crypto';
import type { Explain, Explanation } from '../client/failed-response.js';
import { encodeSegment } from '../client/path.js';
import { VaultError } from '../errors/vault-error.js';
import { missingIn, type SecretSource } from '../secret/secret-source.js';
import type { AuthMethod, LoginContext } from './auth-method.js';
import { atMount, explainedDenial, isEnabled, sourceProblems, type MountOptions } from './login-request.js';
import { systemFailed, UNREACHABLE } from './system-failed.js';

/**
 * Options of {@link userpass}, {@link ldap}, {@link radius} and {@link okta}.
 *
 * @publicApi
 */
export interface PasswordOptions extends MountOptions {
  /** Not a secret: it is part of the path of the login, and so of errors. */
  username: string;
  /** Read again at each login. */
  password: SecretSource;
}

/** The part of a method that differs from the others with a user name and a password. */
export interface PasswordMethod<O extends PasswordOptions> {
  /** The function of the method, and its name in errors. */
  readonly owner: string;
  /** Its own options. */
  readonly known?: readonly (string & keyof O)[];
  /** The words of a refused user name or password, and advice on it. */
  readonly wrong: RegExp;
  readonly advice: string;
  /** The system that the server asks, as `the LDAP directory`; without one it keeps the users itself. */
  readonly system?: string;
  /** The reason of other refusals, by the words of the server. */
  readonly explain?: Explain;
  /** Whether the server locks users out after repeated failed logins. */
  readonly locksOut: boolean;
}

/** Logs in with a user name in the path and a password in the body. */
export function passwordLogin<O extends PasswordOptions>(options: O, method: PasswordMethod<O>): AuthMethod {
  const { owner, known = [], locksOut } = method;
  const { given, problems, mount, place } = atMount(
    owner,
    options,
    { required: ['username', 'password'], optional: known },
    owner,
  );
  const { username, password } = given;
  const name = typeof username === 'string' ? username : '';
  if (name === '') problems.push(`\`auth: ${owner}\` needs a \`username\``);
  else if (!isSegment(name))
    problems.push(`\`auth: ${owner}\` has a \`username\` that cannot be part of a path, as one with "/"`);
  problems.push(...sourceProblems(owner, 'password', password));
  const below = `auth/${mount}/login`;
  const how = { ...place, explain: explainer(method) };
  return {
    name: owner,
    problems,
    missing: () => missingIn(password as SecretSource, 'password'),
    async login(context) {
      const secret = await context.read(password as SecretSource, { ...place, name: 'password' });
      try {
        return await context.logIn(`${below}/${name}`, { password: secret }, how);
      } catch (error) {
        throw await explainedDenial(error, () => isEnabledBelow(context), {
          enabled: (at) => refusedUser(at, locksOut),
          notEnabled: (at) => notEnabled(at, owner),
        });
      }
    },
  };

  /** With a user that does not exist and without a password: the server asks no directory, and locks out no user. */
  function isEnabledBelow(context: LoginContext): Promise<boolean> {
    return isEnabled(context, `${below}/${randomUUID()}`, {}, how);
  }
}

/** The reason of a refusal, by the words of the server. */
function explainer<O extends PasswordOptions>(method: PasswordMethod<O>): Explain {
  const { wrong, advice, system, explain } = method;
  return (refusal): Explanation | undefined => {
    const known = explain?.(refusal);
    if (known) return known;
    if (system !== undefined && refusal.said(UNREACHABLE)) return systemFailed(system);
    if (!refusal.said(wrong)) return undefined;
    return {
      code: 'VAULT_LOGIN_INPUT_INVALID',
      message: `${capital(system ?? 'the server')} refuses the user name or the password of the login at ${refusal.path}.`,
      hint: `${advice} The password is read again at each login; the same one is not sent again for a minute, and after three refusals for 16.`,
    };
  };
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

function isSegment(name: string): boolean {
  try {
    return encodeSegment(name, 'username') !== '';
  } catch {
    return false;
  }
}

/** The condition of `token_bound_cidrs`. */
const networks = (verb: 'contains' | 'does not contain') =>
  `token_bound_cidrs ${verb} the network in which the server sees this machine (behind a proxy or NAT, the address of that)`;

function refusedUser(path: string, locksOut: boolean): VaultError {
  if (!locksOut)
    return new VaultError({
      code: 'VAULT_LOGIN_DENIED',
      message: `The server denies the login at ${path}, although the auth method is enabled there.`,
      hint: `Look at the user and the configuration of the method: ${networks('does not contain')}.`,
      status: 403,
      path,
    });
  return new VaultError({
    code: 'VAULT_LOGIN_LOCKED_OUT',
    message: `The server denies the login at ${path}: it has locked the user out after repeated failed logins.`,
    hint:
      'It refuses the right password as well. First find the process that keeps logging in with a wrong one. The lock-out ends ' +
      'by itself (after 15 minutes by default), or by sys/locked-users/<accessor>/unlock/<user>. ' +
      `If sys/locked-users does not list the user, ${networks('does not contain')}.`,
    status: 403,
    path,
  });
}

function notEnabled(path: string, owner: string): VaultError {
  return new VaultError({
    code: 'VAULT_LOGIN_DENIED',
    message: `The server denies the login at ${path}.`,
    hint: `Check that ${owner} is enabled at \`mountPath\` in \`namespace\`, and that ${networks('contains')}.`,
    status: 403,
    path,
  });
}
