import type { Explain, Explanation } from '../client/failed-response.js';
import { missingIn, type SecretSource } from '../secret/secret-source.js';
import type { AuthMethod } from './auth-method.js';
import { checkJwt, describeClaims, type Claims } from './jwt-claims.js';
import { atMount, sourceProblems, textProblems, type MountOptions } from './login-request.js';

/**
 * Options of {@link jwt}.
 *
 * @publicApi
 */
export interface JwtOptions extends MountOptions {
  /** The role of the method. @default the `default_role` of the method */
  role?: string;
  /**
   * The JWT, read again at each login: {@link fromGitHubActions}, `fromEnv('VAULT_ID_TOKEN')` for an ID token of GitLab, a
   * file, or a function.
   */
  jwt: SecretSource;
  /** Mount of the method, with or without the slash of the server's listing. @default 'jwt' */
  mountPath?: string;
}

/**
 * Logs in with a JWT of an issuer that the server trusts: a CI job, a workload identity. Each login needs one that is
 * valid then.
 *
 * At login it throws `VAULT_LOGIN_INPUT_INVALID` (an expired JWT, also before it is sent; one that is not yet valid, is for
 * another audience, or has another signature), `VAULT_LOGIN_DENIED` (the role does not accept its claims), with the claims
 * in the hint; `VAULT_ROLE_NOT_FOUND`, `VAULT_BACKEND_FAILED` (the server cannot fetch the keys of the issuer),
 * `VAULT_SOURCE_UNREADABLE`.
 *
 * @publicApi
 */
export function jwt(options: JwtOptions): AuthMethod {
  const names = { required: ['jwt'], optional: ['role'] } as const;
  const { given, problems, mount, place } = atMount('jwt', options, names, 'jwt');
  const { role, jwt: source } = given;
  problems.push(
    ...textProblems('jwt', given, { optional: ['role'] }),
    ...sourceProblems('jwt', 'jwt', source),
  );
  const remedy =
    'Each login needs a JWT that is valid then: give a source that fetches a fresh one, or a `token_period` to the role, ' +
    'whose token is renewed without another login.';
  return {
    name: 'jwt',
    problems,
    missing: () => missingIn(source as SecretSource, 'jwt'),
    async login(context) {
      const token = await context.read(source as SecretSource, { ...place, name: 'jwt' });
      const claims = checkJwt(token, { now: context.now(), remedy });
      const explain = explainRefusal(mount, claims);
      const body = { ...(role !== undefined && { role }), jwt: token };
      return context.logIn(`auth/${mount}/login`, body, { ...place, explain });
    },
  };
}

const invalid = (message: string, hint: string): Explanation => ({
  code: 'VAULT_LOGIN_INPUT_INVALID',
  message,
  hint,
});
const denied = (message: string, hint: string): Explanation => ({
  code: 'VAULT_LOGIN_DENIED',
  message,
  hint,
});

/** The reason of a refused login, by the words of the server. */
function explainRefusal(mount: string, claims: Claims): Explain {
  const shown = describeClaims(claims);
  return ({ said }) => {
    if (said(/fetching keys|get keys failed/i))
      return {
        code: 'VAULT_BACKEND_FAILED',
        message: 'The server cannot fetch the keys of the issuer of the JWT.',
        hint: `For the operator: check jwks_url or oidc_discovery_url at auth/${mount}/config, and that the server reaches it.`,
      };
    if (said(/role ".*" could not be found/i))
      return {
        code: 'VAULT_ROLE_NOT_FOUND',
        message: `The method at auth/${mount} has no role of this name.`,
        hint: `Correct \`role\`; \`vault list auth/${mount}/role\` lists the roles.`,
      };
    if (said(/missing role/i))
      return invalid(
        'The login names no role, and the method has no default one.',
        `Give \`role\` to jwt, or set default_role at auth/${mount}/config.`,
      );
    if (said(/invalid expiration time/i))
      return invalid(
        'By the clock of the server, the JWT has expired.',
        `Give a source that yields a fresh one at each login, and synchronise the clocks.${shown}`,
      );
    if (said(/\((nbf|iat)\) claim|no issued at \(iat\)|NumericDate/i))
      return invalid('By the clock of the server, the JWT is not yet valid.', `${timesHint(claims)}${shown}`);
    if (said(/\(aud\) claim/i))
      return invalid(
        'The JWT is not for an audience of the role.',
        `Ask the issuer for one of bound_audiences of the role, or add this audience there.${shown}`,
      );
    if (said(/no audiences bound/i))
      return denied(
        'The JWT has an audience, and the role has none.',
        `Set bound_audiences of the role to the audience of the JWT.${shown}`,
      );
    if (said(/\(iss\) claim|error verifying token signature/i))
      return invalid(
        'The server does not trust the issuer of the JWT: it has another name or another key.',
        `Compare the issuer with bound_issuer and the keys at auth/${mount}/config. Deliver the JWT whole.${shown}`,
      );
    if (said(/\(sub\) claim|error validating claims|claim ".*" not found|converting claim|claim not found/i))
      return denied(
        'The role does not accept the claims of the JWT.',
        `Compare bound_subject, bound_claims, user_claim and groups_claim of the role with the claims.${shown}`,
      );
    if (said(/oidc role_type/i))
      return denied(
        'The role is for logins of people in a browser.',
        'Create a role with role_type "jwt" for the application.',
      );
    if (said(/could not load configuration/i))
      return denied(
        'The method is enabled, and not configured.',
        `Write the keys of the issuer to auth/${mount}/config: jwks_url, oidc_discovery_url or jwt_validation_pubkeys.`,
      );
    return undefined;
  };
}

/** Servers complete the times of a JWT: with `exp` alone it would be valid only from 150 s before its end. */
function timesHint({ exp, nbf, iat }: Claims): string {
  return exp !== undefined && nbf === undefined && iat === undefined
    ? 'It has `exp` alone; servers count such a JWT as not yet valid until 150 s before its end. Let the issuer add `iat` or `nbf`.'
    : 'Synchronise the clocks of the issuer and the server; `iat` and `nbf` are numbers of seconds that have passed.';
}
