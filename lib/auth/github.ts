import type { AuthMethod } from './auth-method.js';
import { atMount, sourceProblems, type MountOptions } from './login-request.js';
import { systemFailed, UNREACHABLE } from './system-failed.js';
import type { Explain } from '../client/failed-response.js';
import { missingIn, type SecretSource } from '../secret/secret-source.js';

/**
 * Options of {@link github}.
 *
 * @publicApi
 */
export interface GithubOptions extends MountOptions {
  /** Personal access token with the scope `read:org`; read again at each login. */
  token: SecretSource;
  /** Mount of the method, with or without the slash of the server's listing. @default 'github' */
  mountPath?: string;
}

/**
 * Logs in with a personal access token of GitHub (HashiCorp Vault, or a plugin). GitHub is asked at each renewal, too. For
 * workflows of GitHub Actions use `jwt` instead: they need no secret.
 *
 * At login it throws `VAULT_LOGIN_INPUT_INVALID` (GitHub does not know the token), `VAULT_LOGIN_DENIED` (its user is not in
 * the organisation), `VAULT_BACKEND_FAILED` (GitHub does not answer), `VAULT_LOGIN_MFA_REQUIRED`, and those of the source.
 *
 * @example
 * github({ token: fromFile('/run/secrets/github-token') });
 * @publicApi
 */
export function github(options: GithubOptions): AuthMethod {
  const { given, problems, mount, place } = atMount('github', options, { required: ['token'] }, 'github');
  problems.push(...sourceProblems('github', 'token', given.token));
  return {
    name: 'github',
    problems,
    missing: () => missingIn(given.token as SecretSource, 'token'),
    async login(context) {
      const token = await context.read(given.token as SecretSource, { ...place, name: 'token' });
      return context.logIn(`auth/${mount}/login`, { token }, { ...place, explain });
    },
  };
}

const explain: Explain = ({ said, path }) => {
  if (said(/401 Bad credentials/i))
    return {
      code: 'VAULT_LOGIN_INPUT_INVALID',
      message: `GitHub does not accept the token of the login at ${path}.`,
      hint: 'It has expired or was revoked: deliver a new personal access token with the scope read:org.',
    };
  if (said(/not part of required org/i))
    return {
      code: 'VAULT_LOGIN_DENIED',
      message: `The user of the GitHub token is not in the organisation that the login at ${path} requires.`,
      hint: 'Add the user to the organisation, and give the token the scope read:org (and SSO, if the organisation has it).',
    };
  return said(UNREACHABLE) || said(/: (?:403|429|5\d\d) /) ? systemFailed('GitHub') : undefined;
};
