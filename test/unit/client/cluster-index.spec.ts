import { describe, expect, it } from 'vitest';
import { ApiClient } from '../../../lib/client/api-client.js';
import type { Sender, TransportRequest } from '../../../lib/client/transport.types.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus } from '../../../lib/events/events.js';
import { systemClock } from '../../../lib/clock/clock.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { ClusterIndex } from '../../../lib/client/cluster-index.js';
import { token } from '../../../lib/index.js';
import { SimulatedVault, VirtualClock } from '../../../lib/testing/index.js';
import { failureOf } from '../../support/leaks.js';

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

const state = (cluster: string, local: number, replicated: number) =>
  Buffer.from(`v1:${cluster}:${local}:${replicated}:00ff`).toString('base64');

it.each<[string, string[], string | string[] | undefined]>([
  ['one', [state('c', 1, 1)], state('c', 1, 1)],
  ['a newer one', [state('c', 1, 1), state('c', 2, 1)], state('c', 2, 1)],
  [
    'an older one, which arrives later',
    [state('c', 9, 1), state('c', 10, 1), state('c', 9, 1)],
    state('c', 10, 1),
  ],
  [
    'two of which neither is newer',
    [state('c', 1, 2), state('c', 2, 1)],
    [state('c', 1, 2), state('c', 2, 1)],
  ],
  ['one that is newer than both', [state('c', 1, 2), state('c', 2, 1), state('c', 2, 2)], state('c', 2, 2)],
  [
    'one that is older than one of both',
    [state('c', 1, 3), state('c', 3, 1), state('c', 1, 2)],
    [state('c', 1, 3), state('c', 3, 1)],
  ],
  ['one of another cluster', [state('c', 9, 9), state('d', 1, 1)], state('d', 1, 1)],
  ['one of another format', [state('c', 9, 9), 'v2'], 'v2'],
  ['one that no header can carry', [state('c', 9, 9), 'a b', 'x'.repeat(2_000)], state('c', 9, 9)],
])('the states of a cluster are merged: %s', (_what, states, header) => {
  const index = new ClusterIndex();
  for (const one of states) index.record(one);
  expect(index.header).toEqual(header);
});

it('three states of which none is newer: the last two', () => {
  const index = new ClusterIndex();
  for (const local of [1, 2, 3]) index.record(state('c', local, 9 - local));
  expect(index.header).toEqual([state('c', 2, 7), state('c', 3, 6)]);
});

function connectTo(vault: SimulatedVault, clock: VirtualClock, timeout = 10_000) {
  const options = resolveOptions({ address: 'http://vault.test', auth: token('root'), timeout });
  return { connection: new VaultConnection(options, new EventBus(), clock, vault.transport()) };
}

describe('a performance standby that is behind', () => {
  const behind = async (delay: number, timeout = 10_000) => {
    const clock = new VirtualClock();
    const vault = new SimulatedVault({ clock, dialect: 'vault' });
    vault.replicationDelay(delay);
    const { connection } = connectTo(vault, clock, timeout);
    await clock.until(connection.login());
    await clock.until(connection.client.write('secret/data/app', { data: { key: 'new' } }));
    return { clock, vault, connection };
  };
  const reads = (vault: SimulatedVault) =>
    vault.history.filter(({ method, path }) => method === 'GET' && path.includes('secret/data'));

  it('is asked again until it has the write; another connection does not wait', async () => {
    const { clock, vault, connection } = await behind(300);
    const before = clock.elapsed;
    const { data } = await clock.until(connection.client.read('secret/data/app'));
    expect(data.reveal()).toMatchObject({ data: { key: 'new' } });
    expect(clock.elapsed - before).toBeLessThan(700);
    expect(reads(vault).map(({ status }) => status)).toEqual([412, 412, 412, 200]);
    const other = connectTo(vault, clock).connection;
    await clock.until(other.client.read('secret/data/app'));
    expect(reads(vault)).toHaveLength(5);
    await clock.until(Promise.all([connection.close(), other.close()]));
  });

  it('is given up after the time of one request; renewals and writes go on', async () => {
    const { clock, vault, connection } = await behind(60_000, 3_000);
    const before = clock.elapsed;
    const error = await failureOf(clock.until(connection.client.read('secret/data/app')));
    expect(error).toMatchObject({ code: 'VAULT_STANDBY', status: 412 });
    expect(error.outcomeUnknown).toBeUndefined();
    expect(clock.elapsed - before).toBeLessThanOrEqual(3_000);
    expect(reads(vault).length).toBeLessThan(8);
    await clock.until(connection.client.write('secret/data/app', { data: { key: 'newer' } }));
    await clock.until(connection.close());
  });

  it('what it lacks for the time of one request is required no longer, also by reads that wait less', async () => {
    const { clock, vault, connection } = await behind(60_000, 3_000);
    const read = (timeout?: number) =>
      clock.until(connection.client.read('secret/data/app', timeout === undefined ? {} : { timeout }));
    for (let one = 0; one < 2; one++)
      expect(await failureOf(read(1_000))).toMatchObject({
        code: 'VAULT_STANDBY',
        hint: expect.stringMatching(/replication/),
      });
    await clock.advance(1_000);
    expect((await read(1_000)).data.reveal()).toMatchObject({ data: { key: 'new' } });
    expect(reads(vault).slice(-2)).toMatchObject([{ status: 412 }, { status: 200 }]);
    // The next write is required again.
    await clock.until(connection.client.write('secret/data/app', { data: { key: 'newer' } }));
    expect((await failureOf(read(1_000))).code).toBe('VAULT_STANDBY');
    await clock.until(connection.close());
  });

  it('after a restored snapshot, one read waits; then credentials and new writes are served', async () => {
    const clock = new VirtualClock();
    let wal = 100;
    const transport: Sender = {
      send({ headers }) {
        const required = Buffer.from(String(headers['X-Vault-Index'] ?? ''), 'base64').toString();
        const behind = Number(required.split(':')[2] ?? 0) > wal;
        return Promise.resolve({
          statusCode: behind ? 412 : 200,
          headers: {
            'content-type': 'application/json',
            ...(!behind && { 'x-vault-index': state('c', ++wal, 0) }),
          },
          body: behind ? '{"errors":["required index state not present"]}' : '{"data":{}}',
          address: '',
        });
      },
      close: () => Promise.resolve(),
    };
    const options = resolveOptions({ address: 'http://vault.test', auth: token('t'), timeout: 3_000 });
    const client = new ApiClient(options, clock, transport);
    const read = () => clock.until(client.send({ method: 'GET', path: 'database/creds/orders' }));
    const write = () => client.send({ method: 'POST', path: 'sys/leases/renew', body: {} });
    await write();
    wal = 50;
    await write();
    expect(await failureOf(read())).toMatchObject({ code: 'VAULT_STANDBY', status: 412 });
    await read();
    await write();
    await read();
  });

  it('an abort ends the wait', async () => {
    const { clock, connection } = await behind(60_000);
    const controller = new AbortController();
    const reading = failureOf(connection.client.read('secret/data/app', { signal: controller.signal }));
    await clock.advance(100);
    controller.abort();
    expect((await reading).code).toBe('VAULT_CLOSED');
    await clock.until(connection.close());
  });
});
