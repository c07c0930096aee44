import { createServer as createHttp, type RequestListener } from 'node:http';
import {
  connect as dial,
  createServer as createTcp,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { appRole } from '../../lib/auth/app-role.js';
import { token } from '../../lib/auth/token.js';
import { fromNetworkError } from '../../lib/client/network-error.js';
import type { Transport } from '../../lib/client/transport.js';
import type { TransportRequest } from '../../lib/client/transport.types.js';
import type { VaultOptions } from '../../lib/config/options.js';
import { mayHaveExecuted } from '../../lib/errors/vault-error.js';
import { closeConnections, connect, transportTo } from '../support/connect.js';
import { answer } from '../support/http-proxy.js';
import { expectNoLeak, failureOf } from '../support/leaks.js';

const TOKEN = 'hvs.canary-token-6e5d4c3b';
const servers = new Set<Server>();
const sockets = new Set<Socket>();
const transports = new Set<Transport>();

afterEach(async () => {
  await closeConnections();
  await Promise.all([...transports].map((transport) => transport.close()));
  for (const socket of sockets) socket.destroy();
  await Promise.all([...servers].map((server) => new Promise((resolve) => server.close(resolve))));
  for (const set of [servers, sockets, transports]) set.clear();
});

async function listen(server: Server): Promise<string> {
  servers.add(server);
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const http = async (listener: RequestListener) => `http://${await listen(createHttp(listener))}`;
/** Answers each connection with the same bytes for any request, and then ends it or not. */
const bytes = async (text: string, end: 'end' | 'reset' | 'open' = 'end') =>
  `http://${await listen(
    createTcp((socket) => {
      socket.once('data', () => {
        if (end === 'reset') socket.write(text, () => setTimeout(() => socket.resetAndDestroy(), 20));
        else if (end === 'end') socket.end(text);
        else socket.write(text);
      });
    }),
  )}`;
/** Accepts connections and sends nothing: a TLS handshake never ends there. */
const silent = async (scheme = 'https') => `${scheme}://${await listen(createTcp(() => undefined))}`;

/** Answers as Vault would; a request that `hangs` matches gets no answer. */
const vault =
  (hangs = /slow/, seen: string[] = []): RequestListener =>
  (request, response) => {
    seen.push(`${request.method} ${request.url}`);
    if (hangs.test(request.url ?? '')) return;
    const lookup = request.url?.endsWith('lookup-self');
    answer(response, 200, { data: lookup ? { ttl: 0, renewable: false, num_uses: 0 } : { who: 'vault' } });
  };

/** Node's server closes a connection whose request body was not read. */
const whole =
  (listener: RequestListener): RequestListener =>
  (request, response) =>
    void request.resume().on('end', () => listener(request, response));

function transport(address: string | string[], connectTimeout = 5_000): Transport {
  const made = transportTo([address].flat(), undefined, connectTimeout);
  transports.add(made);
  return made;
}
const client = (address: string | string[], options: Partial<VaultOptions> = {}) =>
  connect({ address, auth: token(TOKEN), timeout: 2_000, ...options }).connection.client;
const GET: TransportRequest = { method: 'GET', path: '/v1/kv1/x', headers: {}, timeout: 2_000 };
/** The error of a failed request. */
const failure = (work: Promise<unknown>, path = 'kv1/x') =>
  work.then(
    () => undefined,
    (error: unknown) => fromNetworkError(error, path, ['http://vault']),
  );
/** The duration in milliseconds, and the result. */
async function timed<T>(work: Promise<T>): Promise<{ took: number; error: T }> {
  const began = performance.now();
  const error = await work;
  return { took: performance.now() - began, error };
}

it('a header with two values is sent as two lines', async () => {
  const lines: string[] = [];
  const sender = transport(
    await http((request, response) => {
      lines.push(...request.rawHeaders.filter((text) => text.startsWith('state')));
      answer(response, 200, {});
    }),
  );
  await sender.send({ ...GET, headers: { 'X-Vault-Index': ['state-1', 'state-2'] } });
  expect(lines).toEqual(['state-1', 'state-2']);
});

describe('a request that cannot be sent', () => {
  const headers = [
    { 'transfer-encoding': 'chunked' },
    { connection: 'upgrade' },
    { 'keep-alive': 'timeout=5' },
    { expect: '100-continue' },
    { upgrade: 'websocket' },
    { 'not a name': 'x' },
    { 'x-vault-token': 'another' },
  ];

  it('affects no other: 128 of each kind, and the next read is answered', async () => {
    const seen: string[] = [];
    const using = client(await http(vault(/slow/, seen)));
    for (const bad of [...headers.map((one) => ({ headers: one })), { method: 'GE T' as 'GET' }]) {
      const request = { method: 'GET' as const, path: 'kv1/x', ...bad } as Parameters<
        typeof using.request
      >[0];
      const errors = await Promise.all(Array.from({ length: 128 }, () => failureOf(using.request(request))));
      for (const error of errors)
        expect(error).toMatchObject({ code: 'VAULT_REQUEST_INVALID', path: 'kv1/x' });
      expect(errors[0]).not.toHaveProperty('outcomeUnknown');
    }
    expect(seen).toEqual([]);
    expect((await using.read<{ who: string }>('kv1/x')).data.reveal()).toEqual({ who: 'vault' });
  });

  it('affects no other if the HTTP client refuses it', async () => {
    const seen: string[] = [];
    const sender = transport(await http(vault(/slow/, seen)));
    const slow = failure(sender.send({ ...GET, path: '/v1/slow' }));
    await expect.poll(() => seen.length).toBe(1);
    const kinds: Partial<TransportRequest>[] = [
      { headers: { expect: TOKEN } },
      { headers: { 'a b': TOKEN } },
      { path: '/a b' },
      { method: 'GE T' },
    ];
    for (const bad of kinds) {
      const all = Array.from({ length: 70 }, () => failure(sender.send({ ...GET, ...bad })));
      for (const error of await Promise.all(all)) {
        expect(error).toMatchObject({ code: 'VAULT_REQUEST_INVALID' });
        expect(error).not.toHaveProperty('outcomeUnknown');
        expectNoLeak(error, [TOKEN]);
      }
    }
    expect((await sender.send(GET)).statusCode).toBe(200);
    // Concurrent requests went on.
    expect(await slow).toMatchObject({ code: 'VAULT_TIMEOUT', outcomeUnknown: true });
  });
});

describe('an exchange ends by its own timer and signal, at any stage', () => {
  it.each<[string, () => Promise<string>, object, { outcomeUnknown?: true }]>([
    ['in the queue for a connection', () => http(vault(/./)), { fill: 64 }, {}],
    ['in a handshake', () => silent(), {}, {}],
    ['for the answer', () => http(vault(/./)), {}, { outcomeUnknown: true }],
    ['for the headers', () => bytes('HTTP/1.1 200 OK\r\nx-a: ', 'open'), {}, { outcomeUnknown: true }],
    [
      'for the body',
      () => bytes('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"a"', 'open'),
      {},
      { outcomeUnknown: true },
    ],
  ])('%s', async (_where, address, { fill = 0 }: { fill?: number }, lost) => {
    const sender = transport(await address());
    const filling = Array.from({ length: fill }, () => failure(sender.send({ ...GET, timeout: 3_000 })));
    const late = await timed(failure(sender.send({ ...GET, timeout: 300 })));
    expect(late.error).toMatchObject({ code: 'VAULT_TIMEOUT', ...lost });
    if (!lost.outcomeUnknown) expect(late.error).not.toHaveProperty('outcomeUnknown');
    expect(late.took).toBeLessThan(1_500);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 100);
    const aborted = await timed(failure(sender.send({ ...GET, signal: controller.signal })));
    expect(aborted.took).toBeLessThan(1_500);
    await sender.close();
    await Promise.all(filling);
  });

  it('a request that was aborted in the queue is not sent later', async () => {
    const seen: string[] = [];
    const sender = transport(await http(vault(/slow/, seen)));
    const slow = Array.from({ length: 64 }, () =>
      failure(sender.send({ ...GET, path: '/v1/slow', timeout: 500 })),
    );
    const given = { ...GET, method: 'POST', path: '/v1/given-up', body: '{}', timeout: 100 };
    expect(await failure(sender.send(given))).toMatchObject({ code: 'VAULT_TIMEOUT' });
    await Promise.all(slow);
    expect((await sender.send(GET)).statusCode).toBe(200);
    expect(seen.filter((line) => line.includes('given-up'))).toEqual([]);
  });

  it('vital requests do not wait behind 200 hanging reads', async () => {
    const sender = transport(await http(vault()));
    const slow = Array.from({ length: 200 }, () => failure(sender.send({ ...GET, path: '/v1/slow' })));
    const { took } = await timed(sender.send({ ...GET, lane: 'vital' }));
    expect(took).toBeLessThan(1_000);
    await sender.close();
    await Promise.all(slow);
  });

  it('an address that accepts connections and never answers leaves time for the next one', async () => {
    const sender = transport([await silent(), (await http(vault())).replace('127.0.0.1', 'localhost')]);
    expect((await sender.send({ ...GET, timeout: 1_000 })).statusCode).toBe(200);
  });

  it('an address that answers other requests does not count as hanging', async () => {
    const seen: string[] = [];
    const other: string[] = [];
    const sender = transport([await http(vault(/slow/, seen)), await http(vault(/slow/, other))]);
    const slow = failure(sender.send({ ...GET, path: '/v1/slow', timeout: 300 }));
    await sender.send(GET);
    expect(await slow).toMatchObject({ code: 'VAULT_TIMEOUT' });
    await sender.send(GET);
    expect([seen.length, other]).toEqual([3, []]);
  });
});

describe('the first read after a login', () => {
  const READ: TransportRequest = { ...GET, repeatable: true };
  const LOGIN: TransportRequest = {
    ...GET,
    method: 'POST',
    path: '/v1/auth/approle/login',
    body: '{}',
    lane: 'vital',
  };
  /** A transport that has logged in, and the number of connections that its server has accepted. */
  async function loggedIn() {
    const sender = transport(await http(whole(vault())));
    await sender.send(LOGIN);
    return { sender, opened: () => sockets.size };
  }

  it('needs no connection of its own, nor do the next ones', async () => {
    const { sender, opened } = await loggedIn();
    for (let read = 0; read < 3; read++) await sender.send(READ);
    expect(opened()).toBe(1);
  });

  it('does not delay a login, and neither do many of them', async () => {
    const { sender, opened } = await loggedIn();
    const slow = Array.from({ length: 200 }, () => failure(sender.send({ ...READ, path: '/v1/slow' })));
    await expect.poll(opened).toBe(1 + 64);
    const { took } = await timed(sender.send(LOGIN));
    expect(took).toBeLessThan(1_000);
    expect(opened()).toBe(1 + 64 + 1);
    await sender.close();
    await Promise.all(slow);
  });

  it('has one of its own if it may not be repeated, as that connection may be gone', async () => {
    const { sender, opened } = await loggedIn();
    await sender.send({ ...READ, repeatable: false });
    expect(opened()).toBe(2);
  });

  it('is refused by a closed transport', async () => {
    const { sender } = await loggedIn();
    const read = failure(sender.send(READ));
    await sender.close();
    expect(await read).toMatchObject({ code: 'VAULT_UNREACHABLE' });
  });
});

describe('only a request that was certainly not sent counts as not executed', () => {
  const OK = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';
  it.each<[string, () => Promise<string>, string]>([
    [
      'headers that are too large',
      () => bytes(`${OK}x-a: ${'a'.repeat(40_000)}\r\n\r\n{}`),
      'VAULT_RESPONSE_TOO_LARGE',
    ],
    ['an invalid status line', () => bytes('SSH-2.0-OpenSSH_9.2\r\n\r\n'), 'VAULT_NOT_VAULT'],
    [
      'an answer that is too large',
      () => http((_q, r) => void r.end(Buffer.alloc(33 * 1024 * 1024, ' '))),
      'VAULT_RESPONSE_TOO_LARGE',
    ],
    [
      'a web page of a gateway',
      () => http((_q, r) => void r.writeHead(502).end('<html>Bad Gateway</html>')),
      'VAULT_NOT_VAULT',
    ],
    [
      'a web page with status 200',
      () => http((_q, r) => void r.end('<html>maintenance</html>')),
      'VAULT_NOT_VAULT',
    ],
    ['JSON that is cut', () => http((_q, r) => void r.end('{"data":{"a":')), 'VAULT_NOT_VAULT'],
    [
      'a reset amid the body',
      () => bytes(`${OK}content-length: 99\r\n\r\n{"data"`, 'reset'),
      'VAULT_NOT_VAULT',
    ],
    ['an end amid the body', () => bytes(`${OK}content-length: 99\r\n\r\n{"data"`), 'VAULT_NOT_VAULT'],
    ['a reset before any answer', () => bytes('', 'reset'), 'VAULT_UNREACHABLE'],
    ['an end before any answer', () => bytes(''), 'VAULT_UNREACHABLE'],
    ['no answer in time', () => http(vault(/./)), 'VAULT_TIMEOUT'],
  ])('may have been executed: %s', async (_what, address, code) => {
    const auth = appRole({ roleId: 'role', secretId: 'canary-secret-id' });
    const { connection, bus } = connect({
      address: await address(),
      auth,
      timeout: code === 'VAULT_TIMEOUT' ? 500 : 5_000,
    });
    // The login, without retries here.
    const error = await failureOf(connection.client.read('kv1/x'));
    expect(error).toMatchObject({ code, outcomeUnknown: true, path: 'auth/approle/login' });
    expect(mayHaveExecuted(error, 'auth/approle/login')).toBe(true);
    expectNoLeak(error, ['canary-secret-id']);
    // Only a server without any answer is reported as unreachable.
    const unreachable = bus.recent.some(({ type }) => type === 'vault-unreachable');
    expect(unreachable).toBe(code === 'VAULT_UNREACHABLE');
  });

  it.each<[string, () => Promise<string>, string]>([
    ['no server', () => Promise.resolve('http://127.0.0.1:1'), 'VAULT_UNREACHABLE'],
    ['no such host', () => Promise.resolve('https://nowhere.invalid'), 'VAULT_UNREACHABLE'],
    ['no handshake', () => silent(), 'VAULT_TIMEOUT'],
    [
      'a server of another kind',
      () => bytes('hello').then((one) => one.replace('http:', 'https:')),
      'VAULT_TLS_UNTRUSTED',
    ],
  ])('not executed: %s', async (_what, address, code) => {
    const auth = appRole({ roleId: 'role', secretId: 'secret' });
    const { connection } = connect({ address: await address(), auth, timeout: 500 });
    const error = await failureOf(connection.login());
    expect([code, 'VAULT_UNREACHABLE']).toContain(error.code);
    expect(error).not.toHaveProperty('outcomeUnknown');
    expect(mayHaveExecuted(error, 'auth/approle/login')).toBe(false);
  });

  it("an answer that is not the server's own does not count as its recovery", async () => {
    let mode: 'reset' | 'page' | 'vault' = 'reset';
    const address = await http((request, response) => {
      if (mode === 'reset') request.socket.destroy();
      else if (mode === 'page') response.writeHead(502).end('<html>');
      else vault()(request, response);
    });
    const { connection, bus } = connect({ address, auth: token(TOKEN) });
    const reported = () => bus.recent.map(({ type }) => type).filter((type) => type.startsWith('vault-'));
    await failureOf(connection.client.read('kv1/x'));
    mode = 'page';
    await expect
      .poll(async () => (await failureOf(connection.client.read('kv1/x'))).code)
      .toBe('VAULT_NOT_VAULT');
    await failureOf(connection.client.read('kv1/x', { headers: { te: 'trailers' } }));
    expect(reported()).toEqual(['vault-unreachable']);
    mode = 'vault';
    await expect
      .poll(() => connection.client.read('kv1/x').then(() => reported(), reported))
      .toEqual(['vault-unreachable', 'vault-recovered']);
  });
});

describe('idle connections that a balancer has dropped', () => {
  /** Resets requests on connections that were open when `forget` was called, as balancers do. */
  async function balancer(target: string) {
    const { port } = new URL(target);
    const forgotten = new Set<Socket>();
    const known = new Set<Socket>();
    const address = `http://${await listen(
      createTcp((socket) => {
        known.add(socket);
        const upstream = dial(Number(port), '127.0.0.1');
        sockets.add(upstream.on('error', () => undefined));
        upstream.pipe(socket);
        socket.on('data', (chunk) => {
          if (forgotten.has(socket)) socket.resetAndDestroy();
          else upstream.write(chunk);
        });
        socket.on('close', () => upstream.destroy());
      }),
    )}`;
    // undici reuses a connection one turn of the event loop after its answer.
    const forget = async () => {
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
      known.forEach((socket) => forgotten.add(socket));
    };
    return { address, forget };
  }
  async function behindOne() {
    const seen: string[] = [];
    const { address, forget } = await balancer(await http(whole(vault(/never/, seen))));
    const { connection, bus } = connect({ address, auth: token(TOKEN) });
    // Not a read, which would take the connection of the token's look-up.
    await connection.client.write('kv1/x', {});
    seen.length = 0;
    const reported = () => bus.recent.map(({ type }) => type).filter((type) => type.startsWith('vault-'));
    return { client: connection.client, forget, seen, reported };
  }

  it('a read is sent again at once: 4 of 4, each executed once', async () => {
    const { client: using, forget, seen, reported } = await behindOne();
    for (let round = 0; round < 4; round++) {
      await forget();
      await using.read('kv1/x');
      await forget();
      await using.list('kv1');
    }
    expect(seen).toHaveLength(8);
    expect(reported()).toEqual([]);
  });

  it('any number of such connections', async () => {
    const { client: using, forget, seen, reported } = await behindOne();
    const many = () => Promise.all(Array.from({ length: 20 }, () => using.read('kv1/x')));
    await many();
    await forget();
    await many();
    expect(seen).toHaveLength(40);
    expect(reported()).toEqual([]);
  });

  it('a request that may issue a lease is sent once, and does not count as an outage', async () => {
    const { client: using, forget, seen, reported } = await behindOne();
    const wrapped = { headers: { 'X-Vault-Wrap-TTL': '60s' } };
    for (const send of [
      () => using.write('transit/encrypt/x', {}),
      () => using.read('database/creds/app'),
      () => using.read('kv1/x', wrapped),
    ]) {
      await forget();
      expect(await failureOf(send())).toMatchObject({ code: 'VAULT_UNREACHABLE', outcomeUnknown: true });
      expect(seen).toEqual([]);
      // The next one takes another connection.
      await send();
      expect(seen.splice(0)).toHaveLength(1);
    }
    expect(reported()).toEqual([]);
  });

  it('a request known to be idempotent is sent again', async () => {
    const seen: string[] = [];
    const { address, forget } = await balancer(await http(whole(vault(/never/, seen))));
    const sender = transport(address);
    const renew = { ...GET, method: 'POST', path: '/v1/auth/token/renew-self', body: '{}' };
    await sender.send(renew);
    await forget();
    await sender.send({ ...renew, repeatable: true });
    expect(seen).toHaveLength(2);
  });

  it('an unreachable server is still reported', async () => {
    const seen: string[] = [];
    let gone = false;
    const address = await http((request, response) => {
      if (gone) {
        seen.push(request.url as string);
        request.socket.resetAndDestroy();
      } else vault()(request, response);
    });
    const { connection, bus } = connect({ address, auth: token(TOKEN) });
    await connection.client.read('kv1/x');
    gone = true;
    expect(await failureOf(connection.client.read('kv1/x'))).toMatchObject({ code: 'VAULT_UNREACHABLE' });
    // Once on the old connection, and once on a new one.
    expect(seen).toHaveLength(2);
    expect(bus.recent.map(({ type }) => type)).toContain('vault-unreachable');
  });
});

describe('redirects', () => {
  const redirecting = (status: number, seen: string[], headers: object) =>
    http((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      response.writeHead(status, { ...headers }).end();
    });
  const logIn = (address: string[]) =>
    failureOf(
      connect({
        address,
        auth: appRole({ roleId: 'role', secretId: 'canary-secret-id' }),
      }).connection.login(),
    );

  it.each<[string, object]>([
    ['no Location', {}],
    ['an empty one', { location: '' }],
    ['an unreadable one', { location: 'http://:::' }],
  ])('%s: the login is posted once', async (_what, headers) => {
    for (const status of [301, 302, 303, 307, 308]) {
      const seen: string[] = [];
      const error = await logIn([await redirecting(status, seen, headers)]);
      expect(error).toMatchObject({ code: 'VAULT_STANDBY' });
      expect(error).not.toHaveProperty('outcomeUnknown');
      expect(seen).toEqual(['POST /v1/auth/approle/login']);
    }
  });

  it.each([301, 302, 303])('%i: no body is sent again, not even to a configured address', async (status) => {
    const seen: string[] = [];
    const leader = await http(vault(/never/, seen));
    const standby = await redirecting(status, [], { location: `${leader}/v1/auth/approle/login` });
    const transporting = transport([standby, leader]);
    const error = await failure(
      transporting.send({ ...GET, method: 'POST', body: '{"secret_id":"canary-secret-id"}' }),
    );
    // The next address is tried once, as a standby executes nothing; the redirect is not followed.
    expect(error).toBeUndefined();
    expect(seen).toEqual(['POST /v1/kv1/x']);
    const alone = await redirecting(status, [], { location: '/v1/auth/approle/login' });
    const refused = await logIn([alone]);
    expect(refused).toMatchObject({ code: 'VAULT_STANDBY' });
    expect(refused.message).toContain(`with status ${status}`);
  });

  it.each([301, 302, 303, 307, 308])('%i: a read is followed to a configured address', async (status) => {
    const leader = await http(vault());
    const standby = await redirecting(status, [], { location: `${leader}/v1/kv1/x` });
    expect(await transport([standby, leader]).send(GET)).toMatchObject({ statusCode: 200, address: leader });
  });

  it.each([307, 308])('%i: a write is followed with its body', async (status) => {
    const bodies: string[] = [];
    const leader = await http((request, response) => {
      request.on('data', (chunk) => bodies.push(`${request.method} ${request.url} ${String(chunk)}`));
      request.on('end', () => void answer(response, 200, {}));
    });
    const standby = await redirecting(status, [], { location: `${leader}/v1/elsewhere` });
    await transport([standby, leader]).send({ ...GET, method: 'POST', body: '{"a":1}' });
    expect(bodies).toEqual(['POST /v1/elsewhere {"a":1}']);
  });
});
