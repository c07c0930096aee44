import { expect, it } from 'vitest';
import { ApiClient } from '../../../lib/client/api-client.js';
import type { TransportRequest, TransportResponse } from '../../../lib/client/transport.types.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { token } from '../../../lib/index.js';
import { failureOf } from '../../support/leaks.js';
import { HandClock } from '../../support/virtual-clock.js';

/** A client whose requests are recorded, and answered with these headers. */
function recorded(headers: TransportResponse['headers'] = {}) {
  const sent: TransportRequest[] = [];
  const sender = {
    send: async (request: TransportRequest): Promise<TransportResponse> => {
      sent.push(request);
      return { statusCode: 200, headers, body: '{"data":{}}', address: 'https://vault:8200' };
    },
    close: () => Promise.resolve(),
  };
  const options = resolveOptions({ address: 'https://vault:8200', timeout: 1_000, auth: token('canary') });
  return { api: new ApiClient(options, new HandClock(), sender), sent };
}

it('sends nothing after its close', async () => {
  const { api, sent } = recorded();
  await api.close();
  expect((await failureOf(api.send({ method: 'GET', path: 'secret/data/app' }))).code).toBe('VAULT_CLOSED');
  expect(sent).toEqual([]);
});

it.each([
  [50, 50],
  [undefined, 1_000],
  [60_000, 1_000],
])('a request with timeout %s waits %i ms', async (timeout, expected) => {
  const { api, sent } = recorded();
  await api.send({ method: 'GET', path: 'secret/data/app', ...(timeout && { timeout }) });
  expect(sent).toMatchObject([{ timeout: expected }]);
});

it('hands the signal and the lane of a request to the transport', async () => {
  const { api, sent } = recorded();
  const { signal } = new AbortController();
  await api.send({ method: 'GET', path: 'secret/data/app', signal, lane: 'vital' });
  expect(sent[0]?.signal).toBe(signal);
  expect(sent[0]?.lane).toBe('vital');
});

it('lists with GET, and patches with the type of a merge patch', async () => {
  const { api, sent } = recorded();
  await api.send({ method: 'LIST', path: 'secret/metadata', query: { after: 'a' } });
  await api.send({ method: 'PATCH', path: 'secret/data/app', body: {} });
  expect(sent).toMatchObject([
    { method: 'GET', path: '/v1/secret/metadata?after=a&list=true' },
    { method: 'PATCH', headers: { 'content-type': 'application/merge-patch+json' } },
  ]);
});

it('a read does not fall behind the state of the cluster that an earlier answer named; a write has none', async () => {
  const { api, sent } = recorded({ 'x-vault-index': 'state' });
  await api.send({ method: 'GET', path: 'secret/data/app' });
  await api.send({ method: 'POST', path: 'secret/data/app', body: {} });
  await api.send({ method: 'GET', path: 'secret/data/app' });
  expect(sent.map(({ headers }) => headers['X-Vault-Index'])).toEqual([undefined, undefined, 'state']);
});

it.each(['two words', 'é', 'x'.repeat(2_000)])(
  'a state of a form that no server sends is not sent back',
  async (state) => {
    const { api, sent } = recorded({ 'x-vault-index': state });
    for (let times = 0; times < 2; times++) await api.send({ method: 'GET', path: 'secret/data/app' });
    expect(sent[1]?.headers).not.toHaveProperty('X-Vault-Index');
  },
);
