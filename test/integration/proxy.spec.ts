import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { token } from '../../lib/auth/token.js';
import { Secret } from '../../lib/secret/secret.js';
import { Authority, opensslAvailable, type Certificate } from '../support/certificates.js';
import { connect } from '../support/connect.js';
import { ConnectProxy } from '../support/connect-proxy.js';
import { expectNoLeak, failureOf } from '../support/leaks.js';
import { client, closeAll, Recorder, status, TOKEN, vault, who } from '../support/recorder.js';

const PASSWORD = 'canary-p@ss/word';
const USER = 'canary-user';
let proxy: ConnectProxy;
beforeEach(async () => {
  proxy = await ConnectProxy.start();
});
afterEach(async () => {
  await closeAll();
  await proxy.stop();
});

/** The server behind the proxy, under a name that this machine cannot resolve. */
const behind = ({ port, address }: Recorder) =>
  `${address.slice(0, address.indexOf(':'))}://vault.test:${port}`;
const withPassword = () => new Secret(`http://${USER}:${encodeURIComponent(PASSWORD)}@${proxy.host}`);
const http = { allowHttp: true };

describe('an http server behind a proxy', () => {
  it('is reached through tunnels, which are kept open; user name and password are sent to the proxy only', async () => {
    const server = await Recorder.start(vault('server'));
    const using = client(behind(server), { ...http, proxy: withPassword() });
    for (let read = 0; read < 10; read++) expect(await who(using)).toBe('server');
    const authorization = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;
    expect(proxy.tunnels[0]).toEqual({ target: `vault.test:${server.port}`, authorization });
    // One for the login, and the two of ten requests in a row.
    expect(proxy.tunnels.length).toBeLessThanOrEqual(3);
    expect(server.requests[0]).toMatchObject({ token: TOKEN, host: `vault.test:${server.port}` });
  });

  it('is opened outside of the context of the request', async () => {
    const server = await Recorder.start(vault('server'));
    const contexts: unknown[] = [];
    const store = new AsyncLocalStorage<string>();
    const seen = () => contexts.push(store.getStore());
    subscribe('net.client.socket', seen);
    await store.run('of a caller', () => who(client(behind(server), { ...http, proxy: proxy.url })));
    unsubscribe('net.client.socket', seen);
    expect(contexts.length).toBeGreaterThan(1);
    expect([...new Set(contexts)]).toEqual([undefined]);
  });

  it('an address on this machine is reached directly', async () => {
    const server = await Recorder.start(vault('server'));
    expect(await who(client(server.address, { proxy: proxy.url }))).toBe('server');
    expect(proxy.tunnels).toEqual([]);
  });

  it('several addresses: the next one is used if the proxy cannot reach the first', async () => {
    const server = await Recorder.start(vault('server'));
    const using = client(['http://vault.test:1', behind(server)], { ...http, proxy: proxy.url });
    expect(await who(using)).toBe('server');
    const status503 = await Recorder.start(status(503, { errors: ['Vault is sealed'] }));
    expect(await who(client([behind(status503), server.address], { ...http, proxy: proxy.url }))).toBe(
      'server',
    );
  });

  it('closing ends the tunnels', async () => {
    const server = await Recorder.start(vault('server'));
    const { connection } = connect({
      address: behind(server),
      auth: token(TOKEN),
      ...http,
      proxy: proxy.url,
    });
    await connection.login();
    expect(proxy.sockets.size).toBeGreaterThan(0);
    await connection.close();
    await expect.poll(() => proxy.sockets.size).toBe(0);
  });

  it('a tunnel that is cut is opened again', async () => {
    const server = await Recorder.start(vault('server'));
    const using = client(behind(server), { ...http, proxy: proxy.url });
    expect(await who(using)).toBe('server');
    proxy.cut();
    await expect.poll(() => who(using).catch(() => undefined)).toBe('server');
  });
});

const RESPONSE = (line: string, body = '') =>
  `HTTP/1.1 ${line}\r\ncontent-type: text/html\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

describe('a proxy that refuses', () => {
  it.each<[string, string, string, RegExp]>([
    ['407', RESPONSE('407 Proxy Authentication Required'), 'VAULT_PROXY_REFUSED', /user name and password/],
    [
      '403 with a page',
      RESPONSE('403 Forbidden', '<html>no</html>'),
      'VAULT_PROXY_REFUSED',
      /Allow CONNECT to/,
    ],
    ['405', RESPONSE('405 Method Not Allowed'), 'VAULT_PROXY_REFUSED', /Another server than a proxy/],
    ['a redirect to a portal', RESPONSE('302 Found'), 'VAULT_PROXY_REFUSED', /Another server than a proxy/],
    [
      '200 with a page',
      RESPONSE('200 OK', '<html>hi</html>'),
      'VAULT_PROXY_REFUSED',
      /Another server than a/,
    ],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n', 'VAULT_PROXY_REFUSED', /Another server than a proxy/],
    ['502', RESPONSE('502 Bad Gateway', '<html/>'), 'VAULT_UNREACHABLE', /that the proxy can reach/],
    ['nothing', '', 'VAULT_UNREACHABLE', /Check the host and port of `proxy`/],
  ])('with %s: the error names the proxy, and no password', async (_what, answer, code, hint) => {
    proxy.fault = () => answer;
    const error = await failureOf(who(client('http://vault.test:8200', { ...http, proxy: withPassword() })));
    expect(error).toMatchObject({ code, hint: expect.stringMatching(hint) });
    expect(error.message).toContain(`proxy ${proxy.url} `);
    expect(error.outcomeUnknown).toBeUndefined();
    expectNoLeak(error, [PASSWORD, USER, TOKEN]);
    await expect.poll(() => proxy.sockets.size).toBe(0);
  });

  it('that is down, or cannot be resolved: unreachable is the proxy', async () => {
    const url = proxy.url;
    await proxy.stop();
    proxy = await ConnectProxy.start();
    const down = await failureOf(who(client('http://vault.test:8200', { ...http, proxy: url })));
    expect(down).toMatchObject({ code: 'VAULT_UNREACHABLE' });
    expect(down.message).toContain(`No connection to the proxy ${url} (ECONNREFUSED)`);
    const unknown = client('http://vault.test:8200', { ...http, proxy: 'http://proxy.invalid:3128' });
    expect((await failureOf(who(unknown))).message).toMatch(/the proxy http:\/\/proxy.invalid:3128 \(E/);
  });

  it('that never answers: within the time of a connection attempt', async () => {
    proxy.fault = () => null;
    const error = await failureOf(
      who(client('http://vault.test:8200', { ...http, proxy: proxy.url, timeout: 200 })),
    );
    expect(error).toMatchObject({ code: 'VAULT_UNREACHABLE' });
    expect(error.message).toContain(`No connection to the proxy ${proxy.url} (UND_ERR_CONNECT_TIMEOUT)`);
    await expect.poll(() => proxy.sockets.size).toBe(0);
  });
});

describe.runIf(opensslAvailable)('an https server behind a proxy', () => {
  let folder: string;
  let authority: Authority;
  let server: Certificate;
  let user: Certificate;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'nv-proxy-'));
    authority = new Authority();
    server = authority.issue('server', 'DNS:vault.test,DNS:vault.internal');
    user = authority.issue('client', 'DNS:client');
  });
  afterAll(() => {
    authority?.remove();
    rmSync(folder, { recursive: true });
  });
  const secure = () =>
    Recorder.start(vault('secure'), {
      cert: server.cert,
      key: server.key,
      ca: authority.cert,
      requestCert: true,
    });

  it('is verified by its own name, and gets the client certificate', async () => {
    const behindIt = await secure();
    const tls = { ca: authority.cert, cert: user.cert, key: user.key };
    expect(await who(client(behind(behindIt), { tls, proxy: proxy.url }))).toBe('secure');
    const named = { ...tls, serverName: 'vault.internal' };
    expect(
      await who(
        client(behind(behindIt).replace('vault.test', 'other.test'), { tls: named, proxy: proxy.url }),
      ),
    ).toBe('secure');
    const wrong = client(behind(behindIt).replace('vault.test', 'other.test'), { tls, proxy: proxy.url });
    const error = await failureOf(who(wrong));
    expect(error).toMatchObject({ code: 'VAULT_TLS_UNTRUSTED' });
    expect(error.message).toContain('https://other.test');
    const stranger = await failureOf(who(client(behind(behindIt), { proxy: proxy.url })));
    expect(stranger.code).toBe('VAULT_TLS_UNTRUSTED');
    await expect.poll(() => proxy.sockets.size).toBeLessThanOrEqual(8);
  });

  it('new contents of the files are used in the next tunnel', async () => {
    const behindIt = await secure();
    const other = new Authority('other');
    const file = join(folder, 'ca.pem');
    writeFileSync(file, authority.cert);
    const { connection, bus } = connect({
      address: behind(behindIt),
      auth: token(TOKEN),
      tls: { ca: file, cert: user.cert, key: user.key },
      proxy: proxy.url,
    });
    expect(await who(connection.client)).toBe('secure');
    writeFileSync(file, other.cert);
    proxy.cut();
    // Closed connections are noticed a moment later.
    await expect.poll(async () => (await failureOf(who(connection.client))).code).toBe('VAULT_TLS_UNTRUSTED');
    expect(bus.recent.map(({ type }) => type)).toContain('tls-reloaded');
    other.remove();
  });

  it('a proxy that speaks TLS is verified with the authorities of Node', async () => {
    const named = await ConnectProxy.start({ cert: server.cert, key: server.key });
    const behindIt = await secure();
    const using = client(behind(behindIt), { tls: { ca: authority.cert }, proxy: named.url });
    const error = await failureOf(who(using));
    expect(error).toMatchObject({
      code: 'VAULT_TLS_UNTRUSTED',
      hint: expect.stringMatching(/NODE_EXTRA_CA_CERTS/),
    });
    expect(error.message).toContain(`to the proxy ${named.url} failed`);
    expect(named.tunnels).toEqual([]);
    await named.stop();
  });
});

describe('the environment', () => {
  const NAMES = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'];
  const saved = NAMES.map((name) => [name, process.env[name]] as const);
  afterEach(() => {
    for (const [name, value] of saved)
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
  });

  it('redirects no token without `proxy: env`', async () => {
    const server = await Recorder.start(vault('server'));
    for (const name of NAMES.filter((one) => !/^no_/i.test(one))) process.env[name] = proxy.url;
    await failureOf(who(client('http://vault.invalid:8200', http)));
    expect(await who(client(server.address))).toBe('server');
    expect([proxy.tunnels, proxy.requests]).toEqual([[], []]);
    const using = client(behind(server), { ...http, proxy: 'env' });
    expect(await who(using)).toBe('server');
    expect(proxy.tunnels.length).toBeGreaterThan(0);
    process.env['NO_PROXY'] = '.test';
    await failureOf(who(client('http://vault.test:1', { ...http, proxy: 'env' })));
    expect(proxy.tunnels.map(({ target }) => target)).not.toContain('vault.test:1');
  });
});
