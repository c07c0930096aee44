import { randomUUID } from 'node:crypto';
import { VaultError } from '../errors/vault-error.js';
import { missingIn, type SecretSource } from '../secret/secret-source.js';
import { explainRefusal } from './app-role-refusals.js';
import type { AuthMethod } from './auth-method.js';
import {
  atMount,
  escapeRegExp,
  explainedDenial,
  isEnabled,
  sourceProblems,
  textProblems,
  type MountOptions,
} from './login-request.js';

/**
 * Options of {@link appRole}.
 *
 * @publicApi
 */
export interface AppRoleOptions extends MountOptions {
  /** Not a secret: it ships with the configuration. */
  roleId: string;
  /**
   * The secret of the role, read again at each login. Leave it out for a role with `bind_secret_id=false`; `undefined`
   * is refused, as it usually comes from an unset variable.
   */
  secretId?: SecretSource;
  /** Mount of the method, with or without the slash of the server's listing. @default 'approle' */
  mountPath?: string;
}

/**
 * Logs in with AppRole, the auth method for machines.
 *
 * At login it throws `VAULT_LOGIN_INPUT_INVALID` (servers answer 400 for a wrong, expired or used-up secret_id alike),
 * `VAULT_LOGIN_LOCKED_OUT` (403 after repeated bad logins), `VAULT_LOGIN_DENIED` (403 otherwise, or a role or
 * secret_id bound to other networks), `VAULT_TOKEN_INVALID` (a token bound to other networks, at its first use),
 * `VAULT_SOURCE_UNREADABLE`, and those of {@link fromWrappedToken}.
 *
 * @publicApi
 */
export function appRole(options: AppRoleOptions): AuthMethod {
  const names = { required: ['roleId'], optional: ['secretId'] } as const;
  const { given, problems, mount, place } = atMount('appRole', options, names, 'approle');
  const { roleId, secretId } = given;
  problems.push(...textProblems('appRole', given, { required: ['roleId'] }));
  if (secretId !== undefined)
    problems.push(
      ...sourceProblems(
        'appRole',
        'secretId',
        secretId,
        ' (leave it out if the role has bind_secret_id=false)',
      ),
    );
  const path = `auth/${mount}/login`;
  const how = { ...place, explain: explainRefusal };
  const input = {
    ...place,
    name: 'secret_id',
    wrappedAt: new RegExp(`^auth/${escapeRegExp(mount)}/role/[^/]+/secret-id$`),
  };
  return {
    name: 'approle',
    problems,
    missing: async () => (secretId === undefined ? undefined : missingIn(secretId, input.name)),
    async login(context) {
      const secret = secretId === undefined ? undefined : await context.read(secretId, input);
      const body = { role_id: roleId, ...(secret && { secret_id: secret }) };
      try {
        return await context.logIn(path, body, how);
      } catch (error) {
        const madeUp = { role_id: randomUUID(), secret_id: randomUUID() };
        const probe = () => isEnabled(context, path, madeUp, how);
        throw await explainedDenial(error, probe, { enabled: lockedOut, notEnabled });
      }
    },
  };
}

function lockedOut(path: string): VaultError {
  return new VaultError({
    code: 'VAULT_LOGIN_LOCKED_OUT',
    message: 'The server has locked this role_id out after repeated failed logins.',
    hint:
      'First find the process that keeps logging in with an invalid secret_id. The lock-out ends by itself (after ' +
      '15 minutes by default), or by sys/locked-users/<accessor>/unlock/<role_id>.',
    status: 403,
    path,
  });
}

function notEnabled(path: string): VaultError {
  return new VaultError({
    code: 'VAULT_LOGIN_DENIED',
    message: `The server denies the login at ${path}.`,
    hint: 'Check that AppRole is enabled at `mountPath` in `namespace`.',
    status: 403,
    path,
  });
}
