import { isObject } from '../client/answer-members.js';
import { VaultError } from '../errors/vault-error.js';
import { Secret } from '../secret/secret.js';
import type { SecretReader } from '../secret/secret-source.js';

const URL_VARIABLE = 'ACTIONS_ID_TOKEN_REQUEST_URL';
const TOKEN_VARIABLE = 'ACTIONS_ID_TOKEN_REQUEST_TOKEN';
/** Milliseconds; GitHub answers in a fraction of that. */
const TIMEOUT = 5_000;

const NO_PERMISSION =
  'Give the job `permissions: { id-token: write }`. Workflows from forks do not get it. Outside of GitHub Actions, use ' +
  'another source for `jwt`, such as fromEnv.';

/**
 * Asks GitHub for an ID token of the running job, at each login: the `jwt` of {@link jwt}. The job needs the permission
 * `id-token: write`. A token lives for some minutes, and a login fetches a fresh one.
 *
 * @param options.audience the audience of the token: one of bound_audiences of the role
 * @throws VaultError `VAULT_SOURCE_UNREADABLE` at login outside of GitHub Actions, without the permission, or if GitHub
 * refuses; `VAULT_BACKEND_FAILED` if it does not answer within 5 s, or fails; `VAULT_CONFIG_INVALID` at the start without
 * an audience
 * @example
 * jwt({ role: 'ci', jwt: fromGitHubActions({ audience: 'https://vault.internal' }) });
 * @publicApi
 */
export function fromGitHubActions(options: { audience: string }): SecretReader {
  const audience: unknown = isObject(options) ? options['audience'] : undefined;
  const problems =
    typeof audience === 'string' && audience.trim() !== '' ? [] : ['`fromGitHubActions` needs an `audience`'];
  return {
    problems,
    description: 'ID token of GitHub Actions',
    missing: async () => unset(),
    async read() {
      const missing = unset();
      if (missing) throw unreadable(missing, NO_PERMISSION);
      const [url = '', token = ''] = [process.env[URL_VARIABLE], process.env[TOKEN_VARIABLE]];
      return new Secret(await request(url, token, String(audience)));
    },
  };
}

function unset(): string | undefined {
  const name = [URL_VARIABLE, TOKEN_VARIABLE].find((one) => !process.env[one]);
  return name && `${name} is not set`;
}

async function request(url: string, token: string, audience: string): Promise<string> {
  let response: Response;
  let body: unknown;
  try {
    const address = new URL(url);
    address.searchParams.set('audience', audience);
    const headers = { authorization: `bearer ${token}`, accept: 'application/json' };
    response = await fetch(address, { headers, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT) });
    body = await response.json().catch(() => undefined);
  } catch {
    // The error of fetch can contain the address, and that of a proxy its password.
    throw failed(`did not answer within ${TIMEOUT / 1_000} s, or cannot be reached`);
  }
  const { status } = response;
  if (status >= 500 || status === 429) throw failed(`failed with status ${status}`);
  if (!response.ok) throw unreadable(`was refused by GitHub (status ${status})`, NO_PERMISSION);
  const value = isObject(body) ? body['value'] : undefined;
  if (typeof value !== 'string' || value === '') throw failed('answered in another form than that of GitHub');
  return value;
}

function unreadable(problem: string, hint: string): VaultError {
  return new VaultError({
    code: 'VAULT_SOURCE_UNREADABLE',
    message: `A secret that the login needs is missing: ID token of GitHub Actions: ${problem}.`,
    hint,
  });
}

function failed(problem: string): VaultError {
  return new VaultError({
    code: 'VAULT_BACKEND_FAILED',
    message: `The service of GitHub that issues ID tokens ${problem}.`,
    hint: 'The login is tried again. Check the status of GitHub, and that the runner reaches it.',
  });
}
