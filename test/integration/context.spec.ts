import { AsyncLocalStorage } from 'node:async_hooks';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { appRole } from '../../lib/auth/app-role.js';
import { resolveOptions } from '../../lib/config/resolved-options.js';
import { VaultConnection } from '../../lib/connection/vault-connection.js';
import { EventBus } from '../../lib/events/events.js';

// The sockets of undici, and Node's own timers and promises, which a virtual clock and a simulated server lack.

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const requests = new AsyncLocalStorage<object>();

let server: Server;
let connection: VaultConnection;
let bus: EventBus;
/** Requests of the server, by path. */
let asked: string[] = [];

beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  bus = new EventBus();
  const auth = appRole({ roleId: 'r', secretId: 's' });
  connection = new VaultConnection(resolveOptions({ address, auth }), bus);
});

/** Each lease and token is new: the same twice would look like the answer of a cache. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url?.replace('/v1/', '') ?? '';
  const number = asked.push(path);
  const { lease_id: renewed } = JSON.parse((await text(request)) || '{}') as { lease_id?: string };
  const lease = { lease_id: renewed ?? `database/creds/app/${number}`, lease_duration: 1, renewable: true };
  const token = path === 'auth/approle/login' ? `token-${number}` : request.headers['x-vault-token'];
  const auth = { client_token: token, accessor: 'a', lease_duration: 2, renewable: true };
  const kv = {
    data: { url: asked.length },
    metadata: { version: asked.length, created_time: '2026-01-01' },
  };
  const answers: Record<string, object> = {
    'auth/approle/login': { auth },
    'auth/token/renew-self': { auth },
    'database/creds/app': { ...lease, data: { username: 'u', password: 'p' } },
    'sys/leases/renew': lease,
    'secret/data/app': { data: kv },
  };
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(answers[path] ?? {}));
}

afterEach(async () => {
  await connection.close();
  server.close();
});

const renewals = () => asked.filter((path) => path === 'sys/leases/renew').length;

/** All actions that a request of an application may be the first to cause. */
async function work(): Promise<void> {
  const credentials = await connection.leases.get('database/creds/app');
  credentials.lease.hold({ drain: 100 });
  connection.leases.watch('database/creds/app', false).subscribe();
  connection.secrets.watch('app', { every: 1_000 }).subscribe();
  await Promise.all([1, 2, 3].map(() => connection.client.read('secret/data/app')));
}

it('the store of the first request is freed, though renewals go on', async () => {
  let store: WeakRef<object> | undefined;
  await (async () => {
    const large = { body: Buffer.alloc(30_000_000) };
    store = new WeakRef(large);
    await requests.run(large, work);
  })();
  for (const before = renewals(); renewals() < before + 2;) await sleep(50);
  // Node keeps the request of a busy socket until the next turns of the event loop.
  for (let turn = 0; turn < 20 && store?.deref(); turn++) {
    await sleep(10);
    collect();
  }
  expect(store?.deref() === undefined).toBe(true);
  expect(asked).toContain('auth/token/renew-self');
});

it('a direct call reports its events in the context of its caller, and its socket has no context', async () => {
  const seen: Record<string, unknown[]> = { create: [], connected: [] };
  const listeners = Object.entries({ create: 'undici:request:create', connected: 'undici:client:connected' });
  const noting = listeners.map(([name, channel]) => {
    const listener = () => seen[name]?.push(requests.getStore());
    subscribe(channel, listener);
    return () => unsubscribe(channel, listener);
  });
  const caller = { name: 'caller' };
  try {
    await connection.login();
    await requests.run(caller, () =>
      Promise.all([1, 2].map(() => connection.client.read('secret/data/app'))),
    );
  } finally {
    noting.forEach((stop) => stop());
  }
  // The login, then two reads, whose spans belong to the caller.
  expect(seen['create']).toEqual([undefined, caller, caller]);
  expect(seen['connected']?.length).toBeGreaterThan(1);
  expect(new Set(seen['connected'])).toEqual(new Set([undefined]));
});
