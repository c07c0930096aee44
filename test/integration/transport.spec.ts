import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { appRole } from '../../lib/auth/app-role.js';
import { token } from '../../lib/auth/token.js';
import { connect } from '../support/connect.js';
import { HttpProxy } from '../support/http-proxy.js';
import { expectNoLeak, failureOf } from '../support/leaks.js';
import { describeReal, realServer } from '../support/real-servers.js';
import { client, closeAll, Recorder, redirect, status, TOKEN, vault, who } from '../support/recorder.js';
import { provision, startOpenBao, type OpenBaoServer } from '../support/servers.mjs';

afterEach(async () => {
  await closeAll();
});

const REFUSED = 'http://127.0.0.1:1';

it('many concurrent first reads with one signal cause no warning', async () => {
  const server = await Recorder.start((request, response) => {
    setTimeout(() => vault('all')(request, response), 20);
  });
  const warnings: Error[] = [];
  const listen = (warning: Error) => warnings.push(warning);
  process.on('warning', listen);
  const { connection } = connect({ address: server.address, auth: token(TOKEN) });
  await connection.login();
  const paths = Array.from({ length: 16 }, (_, index) => `database/creds/app-${index}`);
  await Promise.all(paths.map((path) => connection.leases.get(path)));
  // Warnings are emitted in a later tick.
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', listen);
  expect(warnings).toEqual([]);
});

describe('several addresses', () => {
  it('the next one is used if the first refuses, and from then on', async () => {
    const second = await Recorder.start(vault('second'));
    const using = client([REFUSED, second.address]);
    for (let read = 0; read < 3; read++) expect(await who(using)).toBe('second');
    // One look-up of the token, and three reads.
    expect(second.lines).toHaveLength(4);
  });

  it('a request that was answered leaves no timer that keeps the process alive', async () => {
    const server = await Recorder.start(vault('first'));
    const using = client([server.address, REFUSED]);
    await who(using);
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = timers();
    for (let read = 0; read < 20; read++) await who(using);
    expect(timers() - before).toBeLessThan(20);
  });

  it('it keeps to the address that answered, and moves on when that fails', async () => {
    const first = await Recorder.start(vault('first'));
    const second = await Recorder.start(vault('second'));
    const third = await Recorder.start(vault('third'));
    const using = client([first.address, second.address, third.address]);
    expect([await who(using), await who(using)]).toEqual(['first', 'first']);
    expect(second.lines).toEqual([]);
    await first.stop();
    // An open connection breaks with its requests; the next request goes to another address.
    await who(using).catch(() => undefined);
    expect([await who(using), await who(using)]).toEqual(['second', 'second']);
    await second.stop();
    await who(using).catch(() => undefined);
    expect(await who(using)).toBe('third');
  });

  it.each<[string, number, unknown]>([
    ['a standby that does not forward', 473, { errors: [] }],
    ['sealed', 503, { errors: ['Vault is sealed'] }],
    ['without a leader', 503, { errors: [] }],
    ['a standby that is behind', 412, { errors: ['required index state not present'] }],
    ['a redirect to a leader that is not configured', 307, ''],
  ])('C12: a node that does not serve is skipped: %s', async (_what, code, body) => {
    const idle = await Recorder.start(
      status(code, body, code === 307 ? { location: 'http://dead.invalid/v1/x' } : {}),
    );
    const serving = await Recorder.start(vault('serving'));
    const using = client([idle.address, serving.address]);
    expect([await who(using), await who(using)]).toEqual(['serving', 'serving']);
    expect(idle.lines).toHaveLength(1);
  });

  it('a node that does not serve is named rather than one that is down; both are asked again', async () => {
    let lacks = false;
    const standby = await Recorder.start((request, response) =>
      lacks
        ? status(412, { errors: ['required index state not present'] })(request, response)
        : vault('standby')(request, response),
    );
    for (const addresses of [
      [standby.address, REFUSED],
      [REFUSED, standby.address],
    ]) {
      const using = client(addresses);
      await who(using);
      lacks = true;
      expect(await failureOf(who(using))).toMatchObject({ code: 'VAULT_STANDBY', status: 412 });
      lacks = false;
      expect(await who(using)).toBe('standby');
    }
  });

  it('if none serves, the error says so, and each is tried again next time', async () => {
    const sealed = () => Recorder.start(status(503, { errors: ['Vault is sealed'] }));
    const nodes = [await sealed(), await sealed()];
    const using = client(nodes.map(({ address }) => address));
    expect((await failureOf(who(using))).code).toBe('VAULT_SEALED');
    expect(nodes.map(({ lines }) => lines.length)).toEqual([1, 1]);
    const none = client([REFUSED, 'http://127.0.0.1:2']);
    const error = await failureOf(who(none));
    expect(error.code).toBe('VAULT_UNREACHABLE');
    expect(error.message).toContain('127.0.0.1:1');
    expect(error.message).toContain('127.0.0.1:2');
  });

  it('after a node that hangs, the next request goes to another', async () => {
    const hanging = await Recorder.start(() => undefined);
    const serving = await Recorder.start(vault('serving'));
    const using = client([hanging.address, serving.address], { timeout: 150 });
    expect((await failureOf(who(using))).code).toBe('VAULT_TIMEOUT');
    // A failed login is repeated after a pause of a millisecond.
    await expect.poll(() => who(using).catch(() => undefined)).toBe('serving');
    expect(hanging.lines).toHaveLength(1);
  });

  it('G4: a request that one node may have executed is not repeated at another', async () => {
    const cut = await Recorder.start((_request, response) => response.destroy());
    const other = await Recorder.start(vault('other'));
    const { connection } = connect({
      address: [cut.address, other.address],
      auth: appRole({ roleId: 'r', secretId: 's' }),
    });
    expect((await failureOf(connection.login())).code).toBe('VAULT_UNREACHABLE');
    expect(other.lines).toEqual([]);
  });

  it('a path in an address is kept as the prefix of the API', async () => {
    const gateway = await Recorder.start(vault('gateway'));
    await who(client([REFUSED, `${gateway.address}/vault/`]));
    expect(gateway.lines).toEqual(['GET /vault/v1/auth/token/lookup-self', 'GET /vault/v1/kv1/x']);
  });
});

describe('redirects', () => {
  it('C19: to a configured address: followed once, with the token, and from then on tried first', async () => {
    const leader = await Recorder.start(vault('leader'));
    const standby = await Recorder.start((request, response) =>
      redirect(`${leader.address}${request.url}`)(request, response),
    );
    const using = client([standby.address, leader.address], { namespace: 'team' });
    expect([await who(using), await who(using)]).toEqual(['leader', 'leader']);
    expect(standby.lines).toHaveLength(1);
    expect(leader.requests.every((seen) => seen.token === TOKEN && seen.namespace === 'team')).toBe(true);
  });

  it('a write keeps its method and body', async () => {
    const bodies: string[] = [];
    const leader = await Recorder.start((request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        bodies.push(`${request.method} ${body}`);
        vault('leader')(request, response);
      });
    });
    const standby = await Recorder.start((request, response) =>
      request.method === 'POST'
        ? redirect(`${leader.address}${request.url}`)(request, response)
        : vault('standby')(request, response),
    );
    await client([standby.address, leader.address]).write('kv1/x', { a: 1 });
    expect(bodies.at(-1)).toBe('POST {"a":1}');
  });

  it('C19: to any other origin: never followed, and no token goes there', async () => {
    const stranger = await Recorder.start(vault('stranger'));
    for (const location of [
      `${stranger.address}/v1/kv1/x`,
      `//127.0.0.1:${stranger.port}/v1/kv1/x`,
      `http://localhost:${stranger.port}/v1/kv1/x`,
      'not a url at all ::::',
      'file:///etc/passwd',
      '',
    ]) {
      const standby = await Recorder.start(redirect(location));
      const error = await failureOf(who(client(standby.address)));
      expect(error).toMatchObject({ code: 'VAULT_STANDBY' });
      expect(error.hint).toMatch(/add it to `address`.*did not send the token/);
      expectNoLeak(error, [TOKEN]);
    }
    expect([stranger.lines, stranger.sockets.size]).toEqual([[], 0]);
  });

  it('a login does not send its secret_id there', async () => {
    const stranger = await Recorder.start(vault('stranger'));
    const standby = await Recorder.start(redirect(`${stranger.address}/v1/auth/approle/login`));
    const auth = appRole({ roleId: 'role', secretId: TOKEN });
    const error = await failureOf(connect({ address: standby.address, auth }).connection.login());
    expect(error.code).toBe('VAULT_STANDBY');
    expect(stranger.sockets.size).toBe(0);
  });

  it.each([301, 302, 303, 307, 308])('C19: the same for status %i', async (code) => {
    const stranger = await Recorder.start(vault('stranger'));
    const standby = await Recorder.start(status(code, '', { location: `${stranger.address}/v1/x` }));
    expect((await failureOf(who(client(standby.address)))).code).toBe('VAULT_STANDBY');
    expect(stranger.sockets.size).toBe(0);
  });

  it('loops end at once: with itself, and between two', async () => {
    const self: Recorder = await Recorder.start((request, response) =>
      redirect(`${self.address}${request.url}`)(request, response),
    );
    expect((await failureOf(who(client(self.address)))).code).toBe('VAULT_STANDBY');
    expect(self.lines.length).toBeLessThanOrEqual(2);

    const nodes: Recorder[] = [];
    for (const other of [1, 0]) {
      nodes.push(
        await Recorder.start((request, response) =>
          redirect(`${nodes[other]?.address}${request.url}`)(request, response),
        ),
      );
    }
    expect((await failureOf(who(client(nodes.map(({ address }) => address))))).code).toBe('VAULT_STANDBY');
    expect(nodes.flatMap(({ lines }) => lines).length).toBeLessThanOrEqual(4);
  });
});

describe('connections, time, abort', () => {
  it('fifty requests in a row use the connections of the first two, and the login one of its own', async () => {
    const server = await Recorder.start(vault('server'));
    const using = client(server.address);
    for (let read = 0; read < 50; read++) await who(using);
    expect(server.lines).toHaveLength(51);
    // One connection in use, and one that undici opened while the first was not yet idle again.
    expect(server.sockets.size).toBeLessThanOrEqual(1 + 2);
  });

  it('concurrent ones are bounded', async () => {
    const server = await Recorder.start(vault('server'));
    const using = client(server.address);
    await Promise.all(Array.from({ length: 200 }, () => who(using)));
    // The login has a connection of its own.
    expect(server.sockets.size).toBeLessThanOrEqual(1 + 64);
  });

  it('a time-out covers headers and body, and frees the connection', async () => {
    let hanging: Socket | undefined;
    const server = await Recorder.start((request, response) => {
      if (request.url?.endsWith('lookup-self')) return vault('server')(request, response);
      hanging = request.socket;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"data":');
    });
    const using = client(server.address, { timeout: 200 });
    await using.read('auth/token/lookup-self');
    const begin = performance.now();
    expect((await failureOf(who(using))).code).toBe('VAULT_TIMEOUT');
    expect(performance.now() - begin).toBeLessThan(700);
    await expect.poll(() => hanging?.destroyed).toBe(true);
  });

  it('the timeout of one request may be shorter, never longer', async () => {
    const server = await Recorder.start((request, response) => {
      if (request.url?.endsWith('lookup-self')) vault('server')(request, response);
    });
    const begin = performance.now();
    for (const [own, timeout] of [
      [20_000, 50],
      [300, 60_000],
    ] as const) {
      const using = client(server.address, { timeout: own });
      expect((await failureOf(using.read('kv1/x', { timeout }))).code).toBe('VAULT_TIMEOUT');
    }
    expect(performance.now() - begin).toBeLessThan(10_000);
  });

  it('answered requests leave no timers, which would keep the process alive', async () => {
    const server = await Recorder.start(vault('server'));
    const using = client(server.address);
    await who(using);
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    for (let times = 0; times < 5; times++) await who(using);
    expect(timers()).toBeLessThan(before + 5);
  });

  it('an abort ends a pending request, and one that has not begun', async () => {
    const seen: (() => void)[] = [];
    const arrived = new Promise<void>((resolve) => seen.push(resolve));
    const server = await Recorder.start((request, response) => {
      if (request.url?.endsWith('lookup-self')) return vault('server')(request, response);
      seen[0]?.();
    });
    const using = client(server.address);
    const controller = new AbortController();
    const reading = failureOf(using.read('kv1/x', { signal: controller.signal }));
    await arrived;
    controller.abort();
    const error = await reading;
    expect(error.code).toBe('VAULT_CLOSED');
    expect(error.message).toContain('The request was aborted');
    const before = server.lines.length;
    await failureOf(using.read('kv1/x', { signal: controller.signal }));
    expect(server.lines).toHaveLength(before);
  });

  it('closing ends idle connections at once', async () => {
    const server = await Recorder.start(vault('server'));
    const { connection } = connect({ address: server.address, auth: token(TOKEN) });
    await connection.login();
    // The first one has the connection of the login.
    await Promise.all([who(connection.client), who(connection.client)]);
    expect([...server.sockets].filter(({ destroyed }) => !destroyed)).toHaveLength(2);
    await connection.close();
    await expect.poll(() => [...server.sockets].every(({ destroyed }) => destroyed)).toBe(true);
  });

  it('closing cuts what is in flight, and refuses what comes later', async () => {
    const server = await Recorder.start((request, response) => {
      if (request.url?.endsWith('lookup-self')) vault('server')(request, response);
    });
    const { connection } = connect({ address: server.address, auth: token(TOKEN) });
    await connection.login();
    const reading = failureOf(connection.client.read('kv1/x'));
    await expect.poll(() => server.lines.length).toBe(2);
    await connection.close();
    expect((await reading).code).toBe('VAULT_CLOSED');
    expect((await failureOf(connection.client.read('kv1/x'))).code).toBe('VAULT_CLOSED');
    await expect.poll(() => [...server.sockets].every((socket) => socket.destroyed)).toBe(true);
  });
});

describe('invalid characters in a header', () => {
  const CHARACTERS = ['VAULT_CONFIG_INVALID', 'The token contains characters'] as const;
  const LINES = ['VAULT_SOURCE_UNREADABLE', 'contains 2 lines'] as const;
  it.each([
    ['line\nbreak', LINES],
    ['carriage\rreturn', LINES],
    ['nül', CHARACTERS],
    ['two words', CHARACTERS],
    ['“quoted”', CHARACTERS],
  ])('K5: a token with %j is refused before any request, and not printed', async (bad, [code, said]) => {
    const server = await Recorder.start(vault('server'));
    const secret = `canary-front-${bad}-canary-back`;
    const error = await failureOf(who(client(server.address, { auth: token(secret) })));
    expect(error.code).toBe(code);
    expect(error.message).toContain(said);
    expectNoLeak(error, [secret, 'canary-front', 'canary-back']);
    expect(server.sockets.size).toBe(0);
  });

  it.each(['team\nX-Vault-Token: x', 'équipe'])(
    'K5: the namespace of one request with %j is refused',
    async (namespace) => {
      const server = await Recorder.start(vault('server'));
      const using = client(server.address);
      await who(using);
      const error = await failureOf(using.read('kv1/x', { namespace }));
      expect(error.code).toBe('VAULT_CONFIG_INVALID');
      expect(error.stack).not.toContain(namespace);
      expect(server.lines).toHaveLength(2);
    },
  );

  it('K5: any given header with a line break is refused', async () => {
    const server = await Recorder.start(vault('server'));
    const using = client(server.address);
    await who(using);
    const headers = { 'X-Vault-Wrap-TTL': '60s\r\nX-Evil: canary-evil' };
    const error = await failureOf(using.read('kv1/x', { headers }));
    expect(error.code).toBe('VAULT_CONFIG_INVALID');
    expectNoLeak(error, ['canary-evil']);
    expect(server.lines).toHaveLength(2);
    await using.read('kv1/x', { headers: { Accept: 'application/json, text/plain' } });
  });
});

describe('invalid characters in a path', () => {
  it.each([
    '../sys/mounts',
    'a/../b',
    'a/./b',
    '',
    '/',
    'a//b',
    'a\nb',
    'a\u0000b',
    'a?b',
    'a#b',
    'v1/kv1/x',
  ])('%j is refused before any request', async (path) => {
    const server = await Recorder.start(vault('server'));
    const { connection } = connect({ address: server.address, auth: token(TOKEN) });
    for (const work of [
      connection.client.read(path),
      connection.client.write(path, {}),
      connection.client.list(path),
      connection.client.delete(path),
      connection.leases.get(path),
    ]) {
      expect((await failureOf(work)).code).toBe('VAULT_PATH_INVALID');
    }
    if (!/[?#]|^v1/.test(path)) {
      for (const options of [{}, { kvVersion: 1 as const }]) {
        expect((await failureOf(connection.secrets.read(path, options))).code).toBe('VAULT_PATH_INVALID');
        expect((await failureOf(connection.secrets.read('x', { mount: path, ...options }))).code).toBe(
          'VAULT_PATH_INVALID',
        );
      }
    }
    expect(server.sockets.size).toBe(0);
  });
});

describeReal('names on the real server', () => {
  let bao: OpenBaoServer;

  beforeAll(async () => {
    bao = await startOpenBao();
  });
  afterAll(() => bao?.stop());

  const names = [
    'a b',
    'a#b',
    'a?b=c',
    '100%',
    'a%2Fb',
    '%2e%2e',
    "o'brien",
    'a&b',
    'a=b',
    'a+b',
    'a;b:c@d,e',
    'ключ-😀',
    '{{name}}',
    '&#x2F;'.replace('/', ''),
    'a"b<c>|\\d',
    // HashiCorp Vault refuses keys with two dots in a row.
    ...(realServer.kind === 'vault' ? [] : ['...']),
  ];

  it.each(names)('key %j comes back, from version 2 and version 1', async (name) => {
    await provision(bao, undefined);
    const { connection } = connect({ address: bao.address, auth: token(bao.rootToken) });
    for (const [mount, kvVersion] of [
      ['secret', 2],
      ['kv1', 1],
    ] as const) {
      const folder = encodeURIComponent(name);
      const at = kvVersion === 2 ? `secret/data/${folder}/${folder}` : `kv1/${folder}/${folder}`;
      const value = `${name} of ${kvVersion}`;
      await bao.api('POST', at, kvVersion === 2 ? { data: { value } } : { value });
      const { data } = await connection.secrets.read(`${name}/${name}`, { mount, kvVersion });
      expect(data.reveal()).toEqual({ value });
    }
  });

  it('similar names are different secrets', async () => {
    const { connection } = connect({ address: bao.address, auth: token(bao.rootToken) });
    for (const name of ['x', 'x#y', 'x%23y']) {
      await bao.api('POST', `secret/data/${encodeURIComponent(name)}`, { data: { name } });
    }
    for (const name of ['x', 'x#y', 'x%23y']) {
      expect((await connection.secrets.read(name, {})).data.reveal()).toEqual({ name });
    }
  });

  it('mounts and roles', async () => {
    const mountPath = 'app role/of&team';
    const role = await provision(bao, undefined, {
      approleMount: mountPath.split('/').map(encodeURIComponent).join('/'),
      approleName: 'o.brien-x',
    });
    const { connection } = connect({ address: bao.address, auth: appRole({ ...role, mountPath }) });
    await connection.login();
    expect((await connection.client.read('auth/token/lookup-self')).data.reveal()).toMatchObject({
      meta: { role_name: 'o.brien-x' },
    });
    const mount = 'my secrets/söme';
    await bao.api('POST', `sys/mounts/${mount.split('/').map(encodeURIComponent).join('/')}`, {
      type: 'kv',
      options: { version: '1' },
    });
    const root = connect({ address: bao.address, auth: token(bao.rootToken) }).connection;
    await root.client.write(`${mount}/x`, { a: 1 });
    expect((await root.secrets.read('x', { mount, kvVersion: 1 })).data.reveal()).toEqual({ a: 1 });
    expect(await root.client.list(mount)).toEqual(['x']);
  });

  it('query parameters are encoded', async () => {
    const proxy = await HttpProxy.start(bao.address);
    try {
      const root = connect({ address: proxy.address, auth: token(bao.rootToken) }).connection.client;
      await failureOf(root.read('kv1/nothing', { query: { a: 'b&c=d#e', 'x y': true, none: undefined } }));
      expect(proxy.requests.at(-1)).toBe('GET /v1/kv1/nothing?a=b%26c%3Dd%23e&x+y=true');
      await root.list('secret/metadata');
      expect(proxy.requests.at(-1)).toBe('GET /v1/secret/metadata?list=true');
    } finally {
      await proxy.stop();
    }
  });
});
