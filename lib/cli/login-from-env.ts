import { appRole } from '../auth/app-role.js';
import type { AuthMethod } from '../auth/auth-method.js';
import { jwt } from '../auth/jwt.js';
import { kubernetes } from '../auth/kubernetes.js';
import { token } from '../auth/token.js';
import { findVariable, prefixed, SECRET_VARIABLES, type FoundVariable } from '../config/find-variable.js';
import { invalid } from './invalid.js';
import { fromEnv, fromFile, fromWrappedToken } from '../secret/secret-source.js';

/** A way to log in, and the variables (without prefix) that describe it; each of them is needed. */
interface Login {
  readonly variables: readonly string[];
  readonly make: (first: FoundVariable, second: FoundVariable) => AuthMethod;
}

const LOGINS: readonly Login[] = [
  { variables: ['TOKEN'], make: (source) => token(fromEnv(source.name)) },
  {
    variables: ['ROLE_ID', 'SECRET_ID'],
    make: (role, secret) => appRole({ roleId: role.value, secretId: fromEnv(secret.name) }),
  },
  {
    variables: ['ROLE_ID', 'SECRET_ID_FILE'],
    make: (role, file) => appRole({ roleId: role.value, secretId: fromFile(file.value) }),
  },
  {
    variables: ['ROLE_ID', 'WRAPPED_SECRET_ID'],
    make: (role, wrapped) =>
      appRole({ roleId: role.value, secretId: fromWrappedToken(fromEnv(wrapped.name)) }),
  },
  { variables: ['KUBERNETES_ROLE'], make: (role) => kubernetes({ role: role.value }) },
  {
    variables: ['JWT_ROLE', 'JWT_FILE'],
    make: (role, file) => jwt({ role: role.value, jwt: fromFile(file.value) }),
  },
];

/** Variables of the login, and others with secrets of the connection. A program that a command starts gets none of them. */
export const HIDDEN_VARIABLES: ReadonlySet<string> = new Set([
  ...LOGINS.flatMap(({ variables }) => variables.flatMap(prefixed)),
  ...SECRET_VARIABLES,
]);

/** All ways, as a list for people. */
export const LOGIN_CHOICES = LOGINS.map(({ variables }) =>
  variables.map((name) => `VAULT_${name}`).join(' and '),
).join('; ');

/**
 * The first way to log in whose variables are all set.
 *
 * @returns the auth method, and the names of the variables
 * @throws VaultError `VAULT_CONFIG_INVALID` if there is none
 */
export function loginFromEnv(env: NodeJS.ProcessEnv): { auth: AuthMethod; names: readonly string[] } {
  for (const { variables, make } of LOGINS) {
    const found = variables.flatMap((name) => findVariable(env, name) ?? []);
    const [first, second = first] = found;
    if (found.length === variables.length && first && second)
      return { auth: make(first, second), names: found.map(({ name }) => name) };
  }
  throw invalid(
    `The environment describes no login; none of these is set: ${LOGIN_CHOICES}.`,
    'Set the variables of one of them, or name a module with the options of the application by `--options`. For ' +
      'the token of `vault login`: export VAULT_TOKEN="$(vault print token)".',
  );
}
