import { randomUUID } from 'node:crypto';
import { isToken } from '../client/answer-members.js';
import { barePath, encodeMount } from '../client/path.js';
import type { ApiAuth, ApiResponse } from '../client/api.types.js';
import { malformed } from '../errors/common-errors.js';
import { unknownOptions } from '../errors/unknown-options.js';
import { VaultError } from '../errors/vault-error.js';

import { Secret } from '../secret/secret.js';
import { isSource, problemsOf, readSecret, type SecretSource } from '../secret/secret-source.js';
import { fromAuth, type AuthMethod, type LoginContext } from './auth-method.js';

/**
 * Options of {@link appRole}.
 *
 * @publicApi
 */
export interface AppRoleOptions {
  /** Not a secret: it ships with the configuration. */
  roleId: string;
  /**
   * The secret of the role, read again at each login. Leave it out for a role with `bind_secret_id=false`; `undefined`
   * is refused, as it usually comes from an unset variable.
   */
  secretId?: SecretSource;
  /** Mount of the method, with or without the slash of the server's listing. @default 'approle' */
  mountPath?: string;
  /** Namespace of the method, if it differs from the connection's. */
  namespace?: string;
}

/** Codes of a refused login. */
const DENIED = new Set<unknown>(['VAULT_TOKEN_INVALID', 'VAULT_PERMISSION_DENIED']);
/** Milliseconds before a refused secret_id is sent again. */
const RESEND_AFTER = 60_000;

/**
 * Logs in with AppRole, the auth method for machines.
 *
 * At login it throws `VAULT_SECRET_ID_INVALID` (servers answer 400 for a wrong, expired or used-up secret_id alike),
 * `VAULT_LOGIN_LOCKED_OUT` (403 after repeated bad logins), `VAULT_LOGIN_DENIED` (403 otherwise, or a role or
 * secret_id bound to other networks), `VAULT_TOKEN_INVALID` (a token bound to other networks, at its first use),
 * `VAULT_SOURCE_UNREADABLE`, and those of {@link fromWrappedToken}.
 *
 * @publicApi
 */
export function appRole(options: AppRoleOptions): AuthMethod {
  const given: Partial<AppRoleOptions> = typeof options === 'object' && options !== null ? options : {};
  const { roleId, secretId, mountPath = 'approle', namespace } = given;
  const problems = unknownOptions('auth: appRole', given, ['roleId', 'secretId', 'mountPath', 'namespace']);
  if (typeof roleId !== 'string' || roleId.trim() === '') problems.push('`auth: appRole` needs a `roleId`');
  if (namespace !== undefined && typeof namespace !== 'string')
    problems.push('`auth: appRole` has a `namespace` that is not a string');
  if (namespace === '')
    problems.push('`auth: appRole` has a `namespace` that is empty (use "root" for the root namespace)');
  const bound = 'secretId' in given;
  if (bound && !isSource(secretId)) {
    problems.push(
      '`auth: appRole` needs a `secretId`: a value, a function, fromEnv, fromFile or fromWrappedToken (leave it out ' +
        'if the role has bind_secret_id=false)',
    );
  }
  problems.push(...problemsOf(secretId));
  let mount = '';
  try {
    mount = encodeMount(mountPath, 'mountPath');
  } catch {
    problems.push('`auth: appRole` has a `mountPath` that is not a path');
  }
  const path = `auth/${mount}/login`;
  const place = namespace === undefined ? {} : { namespace };
  let refused: { secretId: string | undefined; error: VaultError; at: number } | undefined;
  const wrapped = {
    kind: 'secret_id',
    path: new RegExp(
      `^auth/${escapeRegExp(typeof mountPath === 'string' ? barePath(mountPath) : '')}/role/[^/]+/secret-id$`,
    ),
    of: ({ data }: { data: unknown }) => (data as { secret_id?: unknown } | null)?.secret_id,
  } as const;
  const read = (source: SecretSource, context: LoginContext) =>
    readSecret(
      source,
      {
        ...context,
        send: (request, token) => context.send({ ...place, ...request }, token),
        wrapped,
      },
      wrapped.kind,
    );

  return {
    kind: 'approle',
    problems,
    async login(context) {
      const secret = secretId === undefined ? undefined : await read(secretId, context);
      // A refused secret_id stays refused: repeating it would only lock the role out. The source may return another
      // one.
      const again = refused && refused.secretId === secret?.reveal() ? refused : undefined;
      if (again && context.clock.monotonic() - again.at < RESEND_AFTER) throw again.error;
      try {
        const body = { role_id: (roleId ?? '').trim(), ...(secret && { secret_id: secret.reveal() }) };
        const request = { ...place, method: 'POST', path, body, uncached: true } as const;
        const answer = await context.send(request);
        for (const warning of answer.warnings) context.warn(warning);
        return { ...fromAuth(authOf(answer, path), answer.sentAt, (text) => new Secret(text)), ...place };
      } catch (error) {
        if (error instanceof VaultError && error.code === 'VAULT_SECRET_ID_INVALID') {
          refused = { secretId: secret?.reveal(), error, at: context.clock.monotonic() };
        }
        throw DENIED.has((error as VaultError).code) ? await explainDenial(context, path, place) : error;
      }
    },
  };
}

/** An answer to a login without a valid token is a failed login. Only root tokens do not expire. */
function authOf({ auth, wellFormed }: ApiResponse, path: string): ApiAuth {
  if (wellFormed && isToken(auth?.client_token) && auth.lease_duration > 0) return auth;
  throw malformed(path);
}

/**
 * The server answers alike for a locked-out role and for a method that is not enabled: 403, permission denied. A login
 * with made-up ids distinguishes them, because the lock-out is by role_id: if the method is enabled, the answer is 400.
 */
async function explainDenial(
  context: LoginContext,
  path: string,
  place: { namespace?: string },
): Promise<VaultError> {
  const probe = { role_id: randomUUID(), secret_id: randomUUID() };
  const request = { ...place, method: 'POST', path, body: probe } as const;
  const answer = await context.send(request).catch((error: unknown) => error);
  const enabled = answer instanceof VaultError && answer.code === 'VAULT_SECRET_ID_INVALID';
  return enabled
    ? new VaultError({
        code: 'VAULT_LOGIN_LOCKED_OUT',
        message: 'The server has locked this role_id out after repeated failed logins.',
        hint:
          'First find the process that keeps logging in with an invalid secret_id. The lock-out ends by itself (after ' +
          '15 minutes by default), or by sys/locked-users/<accessor>/unlock/<role_id>.',
        status: 403,
        path,
      })
    : new VaultError({
        code: 'VAULT_LOGIN_DENIED',
        message: `The server denies the login at ${path}.`,
        hint: 'Check that AppRole is enabled at `mountPath` in `namespace`.',
        status: 403,
        path,
      });
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
