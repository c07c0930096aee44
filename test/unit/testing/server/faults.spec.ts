import http from 'node:http';
import net from 'node:net';
import { SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TransportTimeout } from '../../../../lib/client/transport.js';
import { type Ask, asker } from '../support.js';

describe('SimulatedVault: faults and history', () => {
  let clock: VirtualClock;
  let vault: SimulatedVault;
  let ask: Ask;
  let token: string;

  beforeEach(() => {
    clock = new VirtualClock();
    vault = new SimulatedVault({ clock });
    ask = asker(vault);
    vault.databaseRole('app', { defaultTtl: '30s', maxTtl: '60s' });
    vault.kv().put('app', { a: 1 });
    token = vault.token();
  });

  const read = () => ask('GET', 'secret/data/app', undefined, { token });
  const issue = () => ask('GET', 'database/creds/app', undefined, { token });
  const code = (promise: Promise<unknown>) =>
    promise.then(
      () => 'answered',
      (error: unknown) => (error as { code?: string }).code,
    );

  it('cuts the connection before the work, or drops the answer after it', async () => {
    vault.cut();
    expect(await code(issue())).toBe('ECONNREFUSED');
    expect(vault.liveUsers).toHaveLength(0);
    vault.dropResponse();
    expect(await code(issue())).toBe('UND_ERR_SOCKET');
    expect(vault.liveUsers).toHaveLength(1);
    expect((await issue()).status).toBe(200);
    expect(vault.history.map(({ status }) => status)).toEqual(['cut', 'dropped', 200]);
  });

  it('does so for the next requests or those that match, until the fault is ended or all are cleared', async () => {
    vault.cut(2);
    expect([await code(read()), await code(issue()), await code(read())]).toEqual([
      'ECONNREFUSED',
      'ECONNREFUSED',
      'answered',
    ]);
    const end = vault.cut('/v1/secret/data/app');
    expect([await code(read()), await code(issue()), await code(read())]).toEqual([
      'ECONNREFUSED',
      'answered',
      'ECONNREFUSED',
    ]);
    end();
    vault.cut({ match: /^GET .*creds/, times: 1 });
    expect([await code(read()), await code(issue()), await code(issue())]).toEqual([
      'answered',
      'ECONNREFUSED',
      'answered',
    ]);
    vault.cut(({ path }) => path.endsWith('app'));
    vault.clearFaults();
    expect(await code(read())).toBe('answered');
  });

  it('gives any answer on demand', async () => {
    const sender = vault.transport();
    const raw = () => sender.send({ method: 'GET', path: '/v1/x', headers: {}, timeout: 1_000 });
    vault.answer(502, '<html>Bad Gateway</html>', 1, { 'content-type': 'text/html' });
    vault.answer(429, { errors: [] }, 1, { 'retry-after': '3' });
    vault.answer(200);
    expect(await raw()).toMatchObject({ statusCode: 502, body: '<html>Bad Gateway</html>' });
    expect(await raw()).toMatchObject({ statusCode: 429, headers: { 'retry-after': '3' } });
    expect(await raw()).toMatchObject({ statusCode: 200, body: '' });
  });

  it('delays the answer, or the work too', async () => {
    vault.delay(1_000, 1);
    const done: string[] = [];
    const note = (name: string) => () => done.push(`${name}@${clock.monotonic()}`);
    const first = issue().then(note('first'));
    await clock.settle();
    expect(vault.liveUsers).toHaveLength(1);
    vault.delay(500, 1, { before: true });
    const second = issue().then(note('second'));
    await clock.advance(499);
    expect([vault.liveUsers.length, clock.pending]).toEqual([1, 2]);
    await clock.advance(501);
    await Promise.all([first, second]);
    expect(done).toEqual(['second@500', 'first@1000']);
    expect([vault.liveUsers.length, clock.pending]).toEqual([2, 0]);
  });

  it('a time-out, an abort and a close end a delayed request and leave no timer behind', async () => {
    vault.delay(60_000);
    const late = ask('GET', 'secret/data/app', undefined, { timeout: 2_000 });
    const timedOut = expect(late).rejects.toBeInstanceOf(TransportTimeout);
    await clock.advance(2_000);
    await timedOut;

    const controller = new AbortController();
    const aborted = ask('GET', 'secret/data/app', undefined, { signal: controller.signal });
    await clock.settle();
    controller.abort(new Error('given up'));
    await expect(aborted).rejects.toThrow('given up');

    const sender = vault.transport();
    const closed = asker(vault, sender)('GET', 'secret/data/app');
    await clock.settle();
    await sender.close();
    expect(await code(closed)).toBe('UND_ERR_SOCKET');
    expect(await code(asker(vault, sender)('GET', 'secret/data/app'))).toBe('UND_ERR_SOCKET');
    expect(clock.pending).toBe(0);
  });

  it('records requests without their secrets', async () => {
    const { roleId, secretId } = vault.appRole('app');
    const secret = secretId();
    const body = { role_id: roleId, secret_id: secret };
    const login = await ask('POST', 'auth/approle/login', body, { token: '' });
    const own = login.body.auth.client_token as string;
    await clock.advance(5_000);
    const made = await ask('GET', 'database/creds/app?x=1', undefined, { token: own });
    const renewal = { lease_id: made.body.lease_id as string, increment: 5 };
    await ask('PUT', 'sys/leases/renew', renewal, { token: own });
    await ask('POST', 'secret/data/app', { data: { password: 'hidden' } }, { token: own });
    expect(vault.history).toMatchObject([
      { method: 'POST', path: '/v1/auth/approle/login', at: 0, status: 200, accessor: '', token: undefined },
      {
        path: '/v1/database/creds/app',
        query: 'x=1',
        at: 5_000,
        token: 3,
        accessor: login.body.auth.accessor,
      },
      { method: 'PUT', body: renewal },
      { body: { data: '[redacted]' } },
    ]);
    const text = JSON.stringify(vault.history);
    for (const hidden of [secret, own, made.body.data.password as string, 'hidden']) {
      expect(text).not.toContain(hidden);
    }
    expect([vault.count(), vault.count(/creds/), vault.count('POST /v1/auth/approle/login')]).toEqual([
      4, 1, 1,
    ]);
    expect(vault.requests(({ method }) => method === 'PUT')).toHaveLength(1);
    expect(vault.requests((entry) => entry.path.includes('sys'))).toHaveLength(1);
    vault.clearHistory();
    expect(vault.count()).toBe(0);
  });

  it('lists requests without an answer', async () => {
    vault.assertExpected();
    expect((await ask('GET', 'transit/keys/x?y=1')).status).toBe(404);
    expect((await ask('POST', 'secret/nonsense/app')).status).toBe(404);
    expect((await ask('DELETE', 'sys/health')).status).toBe(405);
    await read();
    expect(vault.unhandledRequests).toEqual([
      'GET /v1/transit/keys/x',
      'POST /v1/secret/nonsense/app',
      'DELETE /v1/sys/health',
    ]);
    expect(() => vault.assertExpected()).toThrow(/no answer to: GET \/v1\/transit\/keys\/x, POST/);
    vault.clearHistory();
    vault.assertExpected();
  });

  it('lists a path that is not mounted even if the policy or a missing token hides it', async () => {
    vault.policy('narrow', 'path "secret/data/app" { capabilities = ["read"] }');
    const narrow = { token: vault.token({ policies: ['narrow'] }) };
    expect((await ask('GET', 'secret/data/app', undefined, narrow)).status).toBe(200);
    expect((await ask('GET', 'secret/data/other', undefined, narrow)).status).toBe(403);
    expect(vault.unhandledRequests).toEqual([]);
    expect((await ask('GET', 'transit/keys/x', undefined, narrow)).status).toBe(403);
    expect((await ask('PUT', 'auth/ldap/login/me', {}, { token: '' })).status).toBe(403);
    expect(vault.unhandledRequests).toEqual(['GET /v1/transit/keys/x', 'PUT /v1/auth/ldap/login/me']);
  });

  it('ends tokens and leases on demand', async () => {
    const { body } = await issue();
    expect(vault.isValid(body.data.username as string, body.data.password as string)).toBe(true);
    expect(vault.isValid(body.data.username as string, 'wrong')).toBe(false);
    const number = vault.liveLeases[0]?.token ?? 0;
    expect(vault.revokeToken(number)).toBe(true);
    expect(vault.revokeToken(number)).toBe(false);
    expect([vault.liveUsers, (await read()).status]).toEqual([[], 403]);
    token = vault.token();
    await issue();
    vault.revokeAllTokens();
    expect([vault.leaseCount, vault.tokenCount, (await ask('GET', 'secret/data/app')).status]).toEqual([
      0, 1, 200,
    ]);
  });

  describe('over a port', () => {
    let address: string;
    let agent: http.Agent;

    beforeEach(async () => {
      address = await vault.listen();
      agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    });

    afterEach(async () => {
      agent.destroy();
      await vault.close();
    });

    const send = (method: string, path: string, body?: string) =>
      new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
        const headers = { 'X-Vault-Token': token };
        const request = http.request(`${address}/v1/${path}`, { method, headers, agent }, (response) => {
          let text = '';
          response.on('data', (chunk) => (text += String(chunk)));
          response.on('end', () => resolve({ status: response.statusCode, text }));
        });
        request.on('error', reject);
        request.end(body);
      });

    it('answers as in process, including LIST, on reused connections', async () => {
      expect((await send('GET', 'secret/data/app')).text).toContain('"data":{"a":1}');
      for (let round = 0; round < 2; round++) {
        const listed = await send('LIST', 'secret/metadata/');
        expect([listed.status, listed.text]).toEqual([200, expect.stringContaining('"keys":["app"]')]);
        expect((await send('GET', 'secret/metadata?list=true')).text).toContain('"keys":["app"]');
      }
      expect((await send('POST', 'secret/data/ü', '{"data":{"ü":"ä"}}')).status).toBe(200);
      expect((await send('GET', 'secret/data/%C3%BC')).text).toContain('{"ü":"ä"}');
    });

    it('accepts a LIST in pieces, and refuses requests that are not HTTP', async () => {
      const { port } = new URL(address);
      const talk = (...pieces: string[]) =>
        new Promise<string>((resolve, reject) => {
          const socket = net.connect(Number(port), '127.0.0.1');
          let text = '';
          socket.on('data', (chunk) => (text += String(chunk)));
          socket.on('error', reject);
          socket.on('close', () => resolve(text));
          void (async () => {
            for (const piece of pieces) {
              socket.write(piece);
              await new Promise((done) => setTimeout(done, 30));
            }
          })();
        });
      const head = `LIST /v1/secret/metadata/ HTTP/1.1\r\nHost: x\r\nX-Vault-Token: `;
      expect(await talk(head, `${token}\r\n`, '\r\n')).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*"keys":\["app"\]/);
      expect(await talk('LISTEN to me\r\n\r\n')).toMatch(/^HTTP\/1\.1 400/);
    });

    it('applies faults', async () => {
      vault.cut();
      await expect(send('GET', 'secret/data/app')).rejects.toThrow(/hang up|ECONNRESET/);
      vault.dropResponse();
      await expect(send('GET', 'database/creds/app')).rejects.toThrow(/hang up|ECONNRESET/);
      expect(vault.liveUsers).toHaveLength(1);
      vault.answer(503, 'busy');
      expect(await send('GET', 'secret/data/app')).toEqual({ status: 503, text: 'busy' });
      vault.cut({ match: 'LIST /v1/secret/metadata/' });
      await expect(send('LIST', 'secret/metadata/')).rejects.toThrow(/hang up|ECONNRESET/);
    });

    it('listens on several ports, until it is closed', async () => {
      const second = await vault.listen();
      expect(second).not.toBe(address);
      await vault.close();
      await expect(send('GET', 'secret/data/app')).rejects.toThrow(/ECONNREFUSED/);
    });
  });
});
