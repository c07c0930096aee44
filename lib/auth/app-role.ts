import { randomUUID } from 'node:crypto';
import { isToken } from '../client/answer-members.js';
import { barePath, encodeMount } from '../client/path.js';
import type { ApiAuth, ApiResponse } from '../client/api-client.js';
import { malformed } from '../errors/common-errors.js';
import { unknownOptions } from '../errors/unknown-options.js';
import { VaultError } from '../errors/vault-error.js';
import { isSource, problemsOf } from '../secret/is-source.js';
import { Secret } from '../secret/secret.js';
import { readSecret, type SecretSource } from '../secret/secret-source.js';
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
   * A secret: it arrives at run time. Read again at each login. Leave it out for a role with `bind_secret_id=false`, which
   * logs in without one; `undefined` is refused, as it mostly comes from a variable that is not set.
   */
  secretId?: SecretSource;
  /** Where the method is enabled, with or without the slash that servers list it with. @default 'approle' */
  mountPath?: string;
  /** The namespace it is enabled in, where that is not the connection's own. */
  namespace?: string;
}

/** As a login without a token is refused. */
const DENIED = new Set<unknown>(['VAULT_TOKEN_INVALID', 'VAULT_PERMISSION_DENIED']);
/** Milliseconds before the server is asked about a secret_id again that it refused. */
const ASK_AGAIN = 60_000;

/**
 * Logs in with AppRole, the method for machines.
 *
 * At login it throws `VAULT_SECRET_ID_INVALID` (servers answer 400 for a wrong, expired or used-up secret_id alike),
 * `VAULT_LOGIN_LOCKED_OUT` (403 after repeated bad logins), `VAULT_LOGIN_DENIED` (403 otherwise, or networks that the
 * role or the secret_id is bound to), `VAULT_TOKEN_INVALID` (a token that is bound to other networks, at its first use),
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
    problems.push('`auth: appRole` has a `namespace` that is no text');
  if (namespace === '') problems.push('`auth: appRole` has a `namespace` that is empty ("root" is the root)');
  const bound = 'secretId' in given;
  if (bound && !isSource(secretId)) {
    problems.push(
      '`auth: appRole` needs a `secretId`: a value, a function, fromEnv, fromFile or fromWrappedToken (leave it out ' +
        'where the role has bind_secret_id=false)',
    );
  }
  problems.push(...problemsOf(secretId));
  let mount = '';
  try {
    mount = encodeMount(mountPath, 'mountPath');
  } catch {
    problems.push('`auth: appRole` has a `mountPath` that is no path');
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
      // A refused secret_id stays refused: repeating it would only lock the role out. The source may yet yield another.
      const again = refused && refused.secretId === secret?.reveal() ? refused : undefined;
      if (again && context.clock.monotonic() - again.at < ASK_AGAIN) throw again.error;
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

/** An answer to a login without a token that lives is a failed login. Only root tokens have no end. */
function authOf({ auth, wellFormed }: ApiResponse, path: string): ApiAuth {
  if (wellFormed && isToken(auth?.client_token) && auth.lease_duration > 0) return auth;
  throw malformed(path);
}

/**
 * A locked-out role and a method that is not enabled there are answered alike: 403, permission denied. A login
 * with made-up ids tells them apart, because lock-out goes by role_id: where the method is, it is a plain 400.
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
        message: 'The server has locked this role_id out after repeated bad logins.',
        hint:
          'It ends by itself (15 minutes by default) or with sys/locked-users/<accessor>/unlock/<role_id>. Find the ' +
          'process that keeps trying with a bad secret_id first.',
        status: 403,
        path,
      })
    : new VaultError({
        code: 'VAULT_LOGIN_DENIED',
        message: `The server denies the login at ${path}.`,
        hint: 'Check that AppRole is enabled at `mountPath`, and that `namespace` is the one it is enabled in.',
        status: 403,
        path,
      });
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
