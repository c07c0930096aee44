import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Sender, TransportRequest } from '../../../lib/client/transport.types.js';
import type { VaultOptions } from '../../../lib/config/options.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { appRole, token, type VaultError } from '../../../lib/index.js';
import { live } from '../../conformance/life.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';

const CANARY = 'canary-of-a-gateway';

/** A connection, and each request that leaves it, its header names in lower case. */
async function recorded(options: Partial<VaultOptions> = {}) {
  const sent: (TransportRequest & { path: string })[] = [];
  const transport: Sender = {
    send(request) {
      sent.push(request);
      const auth = { client_token: 'token', accessor: 'a', lease_duration: 3_600, renewable: true };
      const body = request.path.includes('/auth/')
        ? { auth }
        : { data: { data: {}, metadata: { version: 1, created_time: '2026-01-01T00:00:00Z' } } };
      return Promise.resolve({ statusCode: 200, headers: {}, body: JSON.stringify(body), address: '' });
    },
    close: () => Promise.resolve(),
  };
  const auth = appRole({ roleId: 'role', secretId: 'canary-secret-id' });
  const { connection } = await live({ address: 'http://vault.test', auth, ...options }, undefined, {
    transport,
  });
  return { connection, client: connection.client, sent };
}

/** The sent names and values as pairs: none may occur twice. */
const pairs = ({ headers }: TransportRequest) =>
  Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
const headersOf = (request: TransportRequest | undefined) =>
  Object.fromEntries(pairs(request as TransportRequest));

describe('each request names its sender', () => {
  it('the login, a read, a list and a revocation', async () => {
    const { connection, client, sent } = await recorded();
    await client.read('secret/data/app');
    await connection.secrets.read('app', {});
    await client.write('secret/data/app', {});
    await connection.close();
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(sent.map(({ path }) => path)).toContain('/v1/auth/token/revoke-self');
    for (const request of sent)
      expect(headersOf(request)).toMatchObject({
        'x-vault-request': 'true',
        'user-agent': `nestjs-vault/${version} node/${process.versions.node}`,
      });
  });
});

describe('`headers` of a connection', () => {
  it('are sent with each request, the login included; those of one request take precedence', async () => {
    const headers = { 'X-Gateway-Key': CANARY, 'User-Agent': 'shop/1.0', 'X-Request-Id': 'mine' };
    const { connection, client, sent } = await recorded({ headers });
    headers['X-Gateway-Key'] = 'changed later';
    await client.read('secret/data/app', { headers: { 'x-gateway-key': 'another', 'user-AGENT': 'job/2' } });
    await connection.close();
    const [login, read, ...rest] = sent;
    for (const request of [login, ...rest])
      expect(headersOf(request)).toMatchObject({ 'x-gateway-key': CANARY, 'user-agent': 'shop/1.0' });
    expect(headersOf(read)).toMatchObject({ 'x-gateway-key': 'another', 'user-agent': 'job/2' });
    for (const request of sent) {
      const names = pairs(request).map(([name]) => name);
      expect(new Set(names).size).toBe(names.length);
    }
    // Caches distinguish two logins by this one.
    expect(headersOf(login)['x-request-id']).not.toBe('mine');
  });

  it.each<[string, unknown, RegExp]>([
    ['of the connection itself', { Host: CANARY }, /"host"/],
    ['the token', { 'X-Vault-Token': CANARY }, /"x-vault-token"/],
    ['the namespace', { 'x-vault-namespace': CANARY }, /"x-vault-namespace".*`namespace`/],
    ['a type of body', { 'Content-Type': CANARY }, /"content-type"/],
    ['wrapping', { 'X-Vault-Wrap-TTL': CANARY }, /"x-vault-wrap-ttl"/],
    ['a value with a line break', { 'x-a': `${CANARY}\r\nx: y` }, /"x-a" .*characters/],
    ['a value that is not a string', { 'x-a': { CANARY } }, /"x-a" is not a string/],
    ['no name', { 'a b': CANARY }, /the name of a header/],
    ['the same twice', { 'x-a': CANARY, 'X-A': CANARY }, /twice/],
    ['Headers of fetch', new Headers({ a: CANARY }), /plain object/],
    ['a text', CANARY, /plain object/],
    ['null', null, /plain object/],
  ])('are refused at the start, and not printed: %s', (_what, headers, text) => {
    const options = { address: 'https://vault.test', auth: token('t'), headers } as unknown as VaultOptions;
    let refused: unknown;
    try {
      resolveOptions(options);
    } catch (error) {
      refused = error;
    }
    expect(refused).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
    expect((refused as VaultError).message).toMatch(text);
    expectNoLeak(refused as VaultError, [CANARY]);
  });
});

describe('the type of a body', () => {
  it.each<[string, 'POST' | 'PATCH' | 'PUT', Record<string, string>, string]>([
    ['JSON', 'POST', {}, 'application/json'],
    ['JSON', 'PUT', {}, 'application/json'],
    ['a merge patch for PATCH', 'PATCH', {}, 'application/merge-patch+json'],
    ['the value of the caller', 'PATCH', { 'CONTENT-TYPE': 'application/json' }, 'application/json'],
    ['the value of the caller', 'POST', { 'Content-type': 'application/x' }, 'application/x'],
  ])('%s: %s %j', async (_what, method, headers, type) => {
    const { client, sent } = await recorded();
    await client.request({ method, path: 'secret/data/app', body: { data: {} }, headers });
    expect(pairs(sent[1] as TransportRequest).filter(([name]) => name === 'content-type')).toEqual([
      ['content-type', type],
    ]);
  });
});

describe('the namespace of one request', () => {
  it.each([
    [undefined, 'team'],
    ['other', 'other'],
    ['/other/app/', 'other/app'],
    ['root', 'root'],
  ])('%j in a connection of team: %s', async (namespace, header) => {
    const { client, sent } = await recorded({ namespace: 'team' });
    await client.read('kv1/x', namespace === undefined ? {} : { namespace });
    expect(headersOf(sent[1])['x-vault-namespace']).toBe(header);
  });

  it.each(['', '/', '..', 'a//b', 5])(
    '%j is refused before any request: it would drop that of the connection',
    async (namespace) => {
      const { client, sent } = await recorded({ namespace: 'team' });
      const error = await failureOf(client.read('kv1/x', { namespace: namespace as string }));
      expect(error).toMatchObject({ code: 'VAULT_REQUEST_INVALID', path: 'kv1/x' });
      expect(error.hint).toContain('"root"');
      expect(sent).toHaveLength(1);
    },
  );

  it('an empty namespace of the login is refused at the start', () => {
    const auth = appRole({ roleId: 'role', secretId: 'id', namespace: '' });
    expect(() => resolveOptions({ address: 'https://vault.test', auth, namespace: 'team' })).toThrow(
      /`namespace`.*empty/,
    );
  });
});
