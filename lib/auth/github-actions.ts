import { isObject } from '../client/answer-members.js';
import { unknownOptions } from '../errors/unknown-options.js';
import { VaultError } from '../errors/vault-error.js';
import type { SecretReader } from '../secret/secret-source.js';
import { secretOf } from '../secret/secret-text.js';
import { askForJson } from './ask-provider.js';

const URL_VARIABLE = 'ACTIONS_ID_TOKEN_REQUEST_URL';
const TOKEN_VARIABLE = 'ACTIONS_ID_TOKEN_REQUEST_TOKEN';
const DESCRIPTION = 'ID token of GitHub Actions';

/**
 * Asks GitHub for an ID token of the running job, at each login: the `jwt` of {@link jwt}. The job needs the permission
 * `id-token: write`. A token lives for some minutes, and each login fetches a fresh one.
 *
 * @param options.audience the audience of the token: one of bound_audiences of the role
 * @throws VaultError `VAULT_SOURCE_UNREADABLE` at login outside of GitHub Actions, without the permission, or if GitHub
 * refuses; `VAULT_LOGIN_PROVIDER_UNAVAILABLE` if it fails, or does not answer within 5 s; `VAULT_CONFIG_INVALID` at the
 * start without an audience
 * @example
 * jwt({ role: 'ci', jwt: fromGitHubActions({ audience: 'https://vault.internal' }) });
 * @publicApi
 */
export function fromGitHubActions(options: { audience: string }): SecretReader {
  const audience = isObject(options) && typeof options.audience === 'string' ? options.audience.trim() : '';
  const problems = isObject(options) ? unknownOptions('fromGitHubActions', options, ['audience']) : [];
  if (audience === '') problems.push('`fromGitHubActions` needs an `audience`');
  return {
    problems,
    description: DESCRIPTION,
    missing: async () => missing(),
    async read() {
      const problem = missing();
      if (problem !== undefined) throw notOffered(problem);
      const url = new URL(process.env[URL_VARIABLE] ?? '');
      url.searchParams.set('audience', audience);
      const token = process.env[TOKEN_VARIABLE]?.trim();
      const headers = { authorization: `bearer ${token}`, accept: 'application/json' };
      const { value } = await askForJson({ provider: 'GitHub', url, headers });
      return secretOf(value, DESCRIPTION);
    },
  };
}

function missing(): string | undefined {
  const unset = [URL_VARIABLE, TOKEN_VARIABLE].find((name) => !process.env[name]?.trim());
  if (unset !== undefined) return `${unset} is not set`;
  return URL.canParse(process.env[URL_VARIABLE] ?? '') ? undefined : `${URL_VARIABLE} is not an address`;
}

function notOffered(problem: string): VaultError {
  return new VaultError({
    code: 'VAULT_SOURCE_UNREADABLE',
    message: `A secret that the login needs is missing: the ${DESCRIPTION}, as ${problem}.`,
    hint:
      'Give the job `permissions: { id-token: write }`. Workflows from forks do not get it. Outside of GitHub Actions, ' +
      'use another source for `jwt`, such as fromEnv.',
  });
}
