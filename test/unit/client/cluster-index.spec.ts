import { expect, it } from 'vitest';
import { ApiClient } from '../../../lib/client/api-client.js';
import type { Sender, TransportRequest } from '../../../lib/client/transport.types.js';
import { systemClock } from '../../../lib/clock/clock.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { token } from '../../../lib/index.js';

it('I1: the index of an answer is sent with the following reads, and with no other request', async () => {
  const seen: TransportRequest[] = [];
  const transport: Sender = {
    send(request) {
      seen.push(request);
      const headers = { 'x-vault-index': `v1:${seen.length}` };
      return Promise.resolve({ statusCode: 200, headers, body: '{"data":{}}', address: '' });
    },
    close: () => Promise.resolve(),
  };
  const options = resolveOptions({ address: 'http://vault.test', auth: token('t') });
  const client = new ApiClient(options, systemClock, transport);
  await client.send({ method: 'POST', path: 'auth/approle/login', body: {} });
  await client.send({ method: 'GET', path: 'secret/data/app' });
  await client.send({ method: 'POST', path: 'sys/leases/renew', body: {} });
  expect(seen.map(({ headers }) => headers['X-Vault-Index'])).toEqual([undefined, 'v1:1', undefined]);
});
