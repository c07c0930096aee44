import { afterEach, describe, expect, it, vi } from 'vitest';
import { fromGitHubActions } from '../../../lib/auth/github-actions.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';
import { answer } from '../../support/http-proxy.js';
import { closeAll, Recorder } from '../../support/recorder.js';

const REQUEST_TOKEN = 'canary-request-token';
const ID_TOKEN = 'canary-header.canary-claims.canary-signature';
const context = {} as never;

afterEach(async () => {
  vi.unstubAllEnvs();
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
    [403, { message: REQUEST_TOKEN }, 'VAULT_SOURCE_UNREADABLE', /status 403/],
    [503, REQUEST_TOKEN, 'VAULT_BACKEND_FAILED', /failed with status 503/],
    [200, '<html>', 'VAULT_BACKEND_FAILED', /another form/],
    [200, { value: '' }, 'VAULT_BACKEND_FAILED', /another form/],
  ])('an answer with status %i and %o: a typed error', async (status, body, code, message) => {
    await runner(status, body);
    const error = await failureOf(source.read(context));
    expect(error).toMatchObject({ code });
    expect(error.message).toMatch(message);
    expectNoLeak(error, [REQUEST_TOKEN, ID_TOKEN]);
  });

  it('a redirect is not followed, and a dead address is reported without the address', async () => {
    const recorder = await Recorder.start((_, response) => {
      response.writeHead(302, { location: '/canary-elsewhere' }).end();
    });
    vi.stubEnv('ACTIONS_ID_TOKEN_REQUEST_URL', `${recorder.address}/canary-path`);
    vi.stubEnv('ACTIONS_ID_TOKEN_REQUEST_TOKEN', REQUEST_TOKEN);
    expect(await failureOf(source.read(context))).toMatchObject({ code: 'VAULT_BACKEND_FAILED' });
    await recorder.stop();
    const error = await failureOf(source.read(context));
    expect(error).toMatchObject({ code: 'VAULT_BACKEND_FAILED' });
    expectNoLeak(error, [REQUEST_TOKEN, 'canary-path']);
    expect(recorder.lines).toEqual(['GET /canary-path?audience=https%3A%2F%2Fvault.internal']);
  });

  it.each([undefined, {}, { audience: ' ' }])('an audience is required: %o', (options) => {
    expect(fromGitHubActions(options as never).problems).toEqual(['`fromGitHubActions` needs an `audience`']);
  });
});
