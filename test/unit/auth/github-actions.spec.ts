import { afterEach, describe, expect, it, vi } from 'vitest';
import { fromGitHubActions } from '../../../lib/auth/github-actions.js';
import { Authority, opensslAvailable } from '../../support/certificates.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';
import { answer } from '../../support/http-proxy.js';
import { closeAll, Recorder } from '../../support/recorder.js';

const REQUEST_TOKEN = 'canary-request-token';
const ID_TOKEN = 'canary-header.canary-claims.canary-signature';
const context = {} as never;

afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await closeAll();
});

/** A runner whose service answers so, and the environment of a job with the permission. */
async function runner(status: number, body: unknown): Promise<Recorder> {
  const recorder = await Recorder.start((_, response) => void answer(response, status, body));
  vi.stubEnv('ACTIONS_ID_TOKEN_REQUEST_URL', `${recorder.address}/idtoken?api-version=2.0`);
  vi.stubEnv('ACTIONS_ID_TOKEN_REQUEST_TOKEN', REQUEST_TOKEN);
  return recorder;
}

describe('an ID token of GitHub Actions', () => {
  const source = fromGitHubActions({ audience: 'https://vault.internal' });

  it('is asked for with the audience, at each read', async () => {
    const recorder = await runner(200, { value: ID_TOKEN });
    for (let read = 1; read <= 2; read++) expect((await source.read(context)).reveal()).toBe(ID_TOKEN);
    const line = 'GET /idtoken?api-version=2.0&audience=https%3A%2F%2Fvault.internal';
    expect(recorder.lines).toEqual([line, line]);
  });

  it.each(['ACTIONS_ID_TOKEN_REQUEST_URL', 'ACTIONS_ID_TOKEN_REQUEST_TOKEN'])(
    'without %s: the permission is missing, or it is no job of GitHub Actions',
    async (name) => {
      await runner(200, { value: ID_TOKEN });
      vi.stubEnv(name, '');
      const error = await failureOf(source.read(context));
      expect(error).toMatchObject({ code: 'VAULT_SOURCE_UNREADABLE' });
      expect(error.message).toContain(`${name} is not set`);
      expect(error.hint).toMatch(/id-token: write.*Outside of GitHub Actions/);
    },
  );

  it.each([
    [403, { message: REQUEST_TOKEN }, 'VAULT_SOURCE_UNREADABLE', /GitHub.*status 403/],
    [503, REQUEST_TOKEN, 'VAULT_LOGIN_PROVIDER_UNAVAILABLE', /GitHub.*status 503/],
    [200, '<html>', 'VAULT_SOURCE_UNREADABLE', /something else than a JSON object/],
    [200, { value: '' }, 'VAULT_SOURCE_UNREADABLE', /ID token of GitHub Actions is unset or empty/],
  ])('an answer with status %i and %o: a typed error', async (status, body, code, message) => {
    await runner(status, body);
    const error = await failureOf(source.read(context));
    expect(error).toMatchObject({ code });
    expect(error.message).toMatch(message);
    expectNoLeak(error, [REQUEST_TOKEN, ID_TOKEN]);
  });

  it.runIf(opensslAvailable)(
    'a service with a certificate of a stranger gets no token, for any environment',
    async () => {
      // Node warns about the variable.
      vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
      vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
      const authority = new Authority('stranger');
      const tls = authority.issue('github', 'IP:127.0.0.1');
      const stranger = await Recorder.start((_, response) => void answer(response, 200, {}), tls);
      vi.stubEnv('ACTIONS_ID_TOKEN_REQUEST_URL', stranger.address);
      vi.stubEnv('ACTIONS_ID_TOKEN_REQUEST_TOKEN', REQUEST_TOKEN);
      const error = await failureOf(source.read(context));
      expect(error).toMatchObject({ code: 'VAULT_LOGIN_PROVIDER_UNAVAILABLE' });
      expect(error.message).toContain('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
      expect(stranger.requests).toEqual([]);
      authority.remove();
    },
  );

  it('a service that cannot be reached: tried again, and no secret in the error', async () => {
    const recorder = await runner(200, { value: ID_TOKEN });
    await recorder.stop();
    const error = await failureOf(source.read(context));
    expect(error).toMatchObject({ code: 'VAULT_LOGIN_PROVIDER_UNAVAILABLE' });
    expectNoLeak(error, [REQUEST_TOKEN]);
  });

  it('white space around the variable of the token is not sent', async () => {
    const recorder = await runner(200, { value: ID_TOKEN });
    vi.stubEnv('ACTIONS_ID_TOKEN_REQUEST_TOKEN', `${REQUEST_TOKEN}\n`);
    expect((await source.read(context)).reveal()).toBe(ID_TOKEN);
    expect(recorder.lines).toHaveLength(1);
  });

  it('an address that is not of the web needs an operator', async () => {
    await runner(200, { value: ID_TOKEN });
    vi.stubEnv('ACTIONS_ID_TOKEN_REQUEST_URL', 'file:///etc/passwd');
    expect((await failureOf(source.read(context))).code).toBe('VAULT_SOURCE_UNREADABLE');
  });

  it('refuses options that it does not know', () => {
    const options = { audience: 'x', foo: 1 };
    expect(fromGitHubActions(options).problems).toEqual(['`fromGitHubActions` has no option `foo`']);
  });

  it('tells firstAvailable what is missing', async () => {
    expect(await source.missing?.()).toBe('ACTIONS_ID_TOKEN_REQUEST_URL is not set');
    await runner(200, { value: ID_TOKEN });
    expect(await source.missing?.()).toBeUndefined();
    vi.stubEnv('ACTIONS_ID_TOKEN_REQUEST_URL', 'elsewhere');
    expect(await source.missing?.()).toBe('ACTIONS_ID_TOKEN_REQUEST_URL is not an address');
  });

  it.each([undefined, {}, { audience: ' ' }])('an audience is required: %o', (options) => {
    expect(fromGitHubActions(options as never).problems).toEqual(['`fromGitHubActions` needs an `audience`']);
  });
});
