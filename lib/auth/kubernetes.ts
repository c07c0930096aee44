import type { Explain } from '../client/failed-response.js';
import { fromFile, missingIn, type SecretSource } from '../secret/secret-source.js';
import type { AuthMethod } from './auth-method.js';
import { checkJwt, describeClaims, type Claims } from './jwt-claims.js';
import { atMount, sourceProblems, textProblems, type MountOptions } from './login-request.js';

/** The file in which Kubernetes gives each pod the token of its service account. */
const TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/**
 * Options of {@link kubernetes}.
 *
 * @publicApi
 */
export interface KubernetesOptions extends MountOptions {
  /** The role of the method that the service account may use. */
  role: string;
  /**
   * The token of the service account, read again at each login, as the kubelet replaces it. For a projected volume:
   * `fromFile('/var/run/secrets/tokens/vault')`.
   *
   * @default the file /var/run/secrets/kubernetes.io/serviceaccount/token
   */
  jwt?: SecretSource;
  /**
   * The audience that the role requires. A token without it is reported before it is sent.
   *
   * @default the server checks the audience
   */
  audience?: string;
  /** Mount of the method, with or without the slash of the server's listing. @default 'kubernetes' */
  mountPath?: string;
}

/**
 * Logs in with the service account of the pod. There is no secret to deliver: the cluster writes the token and replaces
 * it, and the server asks the cluster whether it is valid (TokenReview).
 *
 * At login it throws `VAULT_LOGIN_INPUT_INVALID` (an expired token, also before it is sent; one for another audience; no
 * JWT), `VAULT_LOGIN_DENIED` (the role does not accept the service account, or the TokenReview failed), with the claims
 * of the token in the hint; `VAULT_ROLE_NOT_FOUND`, `VAULT_SOURCE_UNREADABLE`.
 *
 * @publicApi
 */
export function kubernetes(options: KubernetesOptions): AuthMethod {
  const names = { required: ['role'], optional: ['jwt', 'audience'] } as const;
  const { given, problems, mount, place } = atMount('kubernetes', options, names, 'kubernetes');
  const { role, jwt = fromFile(TOKEN_FILE), audience } = given;
  problems.push(
    ...textProblems('kubernetes', given, { required: ['role'], optional: ['audience'] }),
    ...sourceProblems('kubernetes', 'jwt', jwt, ' (leave it out for the file of the pod)'),
  );
  const remedy =
    'The kubelet writes a fresh token ahead of the end of each: mount it as a projected volume' +
    `${audience === undefined ? '' : ` whose \`audience\` is "${audience}"`}, and give its path with fromFile.`;
  return {
    name: 'kubernetes',
    problems,
    missing: () => missingIn(jwt, 'jwt'),
    async login(context) {
      const token = await context.read(jwt, { ...place, name: 'jwt' });
      const claims = checkJwt(token, { now: context.now(), audience, remedy });
      const explain = explainRefusal(mount, claims);
      return context.logIn(`auth/${mount}/login`, { role, jwt: token }, { ...place, explain });
    },
  };
}

/** The reason of a refused login, by the words of the server. All failures of a TokenReview have the same: denied. */
function explainRefusal(mount: string, claims: Claims): Explain {
  const shown = describeClaims(claims);
  return ({ said }) => {
    if (said(/invalid role name/i))
      return {
        code: 'VAULT_ROLE_NOT_FOUND',
        message: `The method at auth/${mount} has no role of this name.`,
        hint: `Correct \`role\`; \`vault list auth/${mount}/role\` lists the roles. A method that is not configured answers the same.`,
      };
    if (said(/(namespace|service account name) not authorized/i))
      return {
        code: 'VAULT_LOGIN_DENIED',
        message: 'The role does not accept this service account.',
        hint:
          'Add the account to bound_service_account_names and its namespace to bound_service_account_namespaces of the ' +
          `role, or give the pod the right serviceAccountName.${shown}`,
      };
    if (said(/\(aud\) claim/i))
      return {
        code: 'VAULT_LOGIN_INPUT_INVALID',
        message: 'The token of the service account is not for the audience of the role.',
        hint: `Set \`audience\` of the projected volume to the audience of the role, or change that of the role.${shown}`,
      };
    if (said(/\((exp|nbf|iat)\) claim/i))
      return {
        code: 'VAULT_LOGIN_INPUT_INVALID',
        message: 'By the clock of the server, the token of the service account is expired or not yet valid.',
        hint: `Synchronise the clocks of the cluster and of the server, and read the token from its file.${shown}`,
      };
    if (said(/permission denied/i))
      return {
        code: 'VAULT_LOGIN_DENIED',
        message: `The server denies the login at auth/${mount}/login.`,
        hint:
          'It has one answer for several causes. The cluster rejects the token in the TokenReview (the pod is deleted, or ' +
          'the token belongs to another cluster); the server cannot ask the cluster (kubernetes_host, its CA, its ' +
          'reviewer token); the method is not enabled at `mountPath` in `namespace`; or token_bound_cidrs of the role ' +
          `excludes this network.${shown}`,
      };
    return undefined;
  };
}
