import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { sendBlocking, type RoutedRequest } from '../../lib/client/send-blocking.js';
import { Secret } from '../../lib/secret/secret.js';
import type { Route } from '../../lib/client/transport.types.js';
import {
  Authority,
  encryptKey,
  opensslAvailable,
  pkcs12,
  type Certificate,
} from '../support/certificates.js';
import { transportTo } from '../support/connect.js';

interface Given {
  status?: number;
  tls?: object;
  /** Path of a Unix socket to listen at. */
  socket?: string;
}
interface Seen {
  server: number;
  line: string;
  token: string;
  namespace?: string;
  body: string;
  client?: string;
}

const threads: Worker[] = [];
afterEach(async () => void (await Promise.all(threads.splice(0).map((thread) => thread.terminate()))));

async function serve(...servers: Given[]) {
  const thread = new Worker(new URL('fixtures/thread-servers.mjs', import.meta.url), { workerData: servers });
  threads.push(thread);
  const [ports] = (await once(thread, 'message')) as [number[]];
  const addresses = servers.map(({ tls, socket }, index) =>
    socket === undefined ? `${tls ? 'https' : 'http'}://127.0.0.1:${ports[index]}` : `unix://${socket}`,
  );
  const seen = async () => {
    const answered = once(thread, 'message');
    thread.postMessage('seen');
    return ((await answered) as [Seen[]])[0];
  };
  return { addresses, seen };
}

const routeTo = (address: string): Route => ({ addresses: [address] });
const request = (route: Route, more: Partial<RoutedRequest> = {}): RoutedRequest => ({
  route,
  method: 'POST',
  path: '/v1/auth/token/revoke-self',
  headers: { 'X-Vault-Token': 'hvs.canary' },
  body: '{}',
  ...more,
});
const timed = <T>(work: () => T): [T, number] => {
  const began = performance.now();
  return [work(), performance.now() - began];
};

it('sends each request unchanged, and returns the status of each answer', async () => {
  const { addresses, seen } = await serve({ status: 204 }, { status: 403 });
  const [one, other] = addresses.map((address) => routeTo(`${address}/proxy`));
  const headers = { 'X-Vault-Token': 'hvs.other', 'X-Vault-Namespace': 'team' };
  expect(sendBlocking([request(one as Route), request(other as Route, { headers })], 5_000)).toEqual([
    204, 403,
  ]);
  expect((await seen()).toSorted((a, b) => a.server - b.server)).toEqual([
    { server: 0, line: 'POST /proxy/v1/auth/token/revoke-self', token: 'hvs.canary', body: '{}' },
    {
      server: 1,
      line: 'POST /proxy/v1/auth/token/revoke-self',
      token: 'hvs.other',
      namespace: 'team',
      body: '{}',
    },
  ]);
});

it('tries the next address if one refuses, is sealed, is a standby, or takes too long', async () => {
  const { addresses, seen } = await serve({ status: 503 }, { status: 307 }, {}, { status: 204 });
  const route = { addresses: ['http://127.0.0.1:1', ...addresses] };
  const [statuses, took] = timed(() => sendBlocking([request(route)], 2_500));
  expect(statuses).toEqual([204]);
  expect(took).toBeLessThan(2_500);
  expect((await seen()).map(({ server }) => server)).toEqual([0, 1, 2, 3]);
});

it('blocks no longer than its limit, and has no status for a missing answer', async () => {
  const { addresses } = await serve({ status: 204 }, {});
  const [good, silent] = addresses.map(routeTo);
  const [statuses, took] = timed(() =>
    sendBlocking([request(silent as Route), request(good as Route)], 1_500),
  );
  expect(statuses).toEqual([0, 204]);
  expect(took).toBeGreaterThan(1_490);
  expect(took).toBeLessThan(2_500);
  expect(sendBlocking([request({ addresses: ['http://127.0.0.1:1'] })], 5_000)).toEqual([0]);
});

it.skipIf(process.platform === 'win32')('sends over a Unix socket, also beside other addresses', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'nv-'));
  try {
    const socket = join(folder, 'agent.sock');
    const { addresses, seen } = await serve({ status: 204, socket });
    const route = transportTo(['unix:///nowhere/agent.sock', 'https://127.0.0.1:1', ...addresses]).route;
    expect(sendBlocking([request(route as Route), request(routeTo(addresses[0] as string))], 5_000)).toEqual([
      204, 204,
    ]);
    expect((await seen())[0]).toMatchObject({ line: 'POST /v1/auth/token/revoke-self', token: 'hvs.canary' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe.runIf(opensslAvailable)('TLS', () => {
  let authority: Authority;
  let server: Certificate;
  let client: Certificate;

  beforeAll(() => {
    authority = new Authority();
    server = authority.issue('server', 'DNS:vault.internal,IP:10.1.2.3');
    client = authority.issue('client', 'DNS:client');
  });
  afterAll(() => authority?.remove());

  it('with the settings of the connection: authority, name, client certificate', async () => {
    const tls = { cert: server.cert, key: server.key, ca: authority.cert, requestCert: true };
    const { addresses, seen } = await serve({ status: 204, tls });
    const route = (options: object) => transportTo(addresses, options, 1_000).route as Route;
    const { cert, key } = client;
    const whole = { ca: authority.cert, cert, key, serverName: 'vault.internal' };
    const wrong = [
      {},
      { ...whole, serverName: 'other.internal' },
      { ...whole, serverName: '10.1.2.4' },
      { serverName: 'vault.internal', cert, key },
    ];
    // Disabled checks of the application do not disable those of the package.
    const variable = 'NODE_TLS_REJECT_UNAUTHORIZED';
    process.env[variable] = '0';
    try {
      const named = { ca: authority.cert, serverName: 'vault.internal', passphrase: 'right' };
      const encrypted = { ...named, cert, key: encryptKey(client.keyFile, 'right') };
      const packed = { ...named, pfx: pkcs12(client, 'right') };
      const right = [whole, { ...whole, serverName: '10.1.2.3' }, encrypted, packed];
      const requests = [...right, ...wrong].map((options) => request(route(options)));
      expect(sendBlocking(requests, 5_000)).toEqual([204, 204, 204, 204, 0, 0, 0, 0]);
    } finally {
      delete process.env[variable];
    }
    expect((await seen()).map((one) => one.client)).toEqual(Array(4).fill('client'));
  });

  it('through a proxy, with its password; the server is verified by its own name', async () => {
    const tls = { cert: server.cert, key: server.key };
    const { addresses, seen } = await serve({}, { status: 204 }, { status: 204, tls });
    const [url = '', clear = '', secure = ''] = addresses;
    const [http, https, other] = [
      clear.replace('127.0.0.1', 'clear.internal'),
      secure.replace('127.0.0.1', 'vault.internal'),
      secure.replace('127.0.0.1', 'other.internal'),
    ];
    const proxy = { url, authorization: new Secret('Basic canary'), addresses: [http, https, other] };
    const route = (address: string) =>
      transportTo([address], { ca: authority.cert }, 1_000, proxy).route as Route;
    const refused = { ...proxy, url: 'http://127.0.0.1:1' };
    const requests = [
      ...[http, https, https, other, clear].map(route),
      { ...route(https), proxy: { ...refused, headers: {} } },
    ];
    expect(
      sendBlocking(
        requests.map((one) => request(one)),
        5_000,
      ),
    ).toEqual([204, 204, 204, 0, 204, 0]);
    const tunnels = (await seen()).filter(({ line }) => line.startsWith('CONNECT'));
    expect(new Set(tunnels.map(({ line }) => line.slice('CONNECT '.length)))).toEqual(
      new Set([http, https, other].map((address) => new URL(address).host)),
    );
    expect(new Set(tunnels.map((one) => one.token))).toEqual(new Set(['Basic canary']));
  });
});
