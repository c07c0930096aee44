import { afterEach, describe, expect, it } from 'vitest';
import type { Sender, TransportResponse } from '../../../lib/client/transport.types.js';
import { appRole, Secret, token } from '../../../lib/index.js';
import { SimulatedVault } from '../../../lib/testing/index.js';
import { live } from '../../conformance/life.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

async function simulated(dialect: 'openbao' | 'vault' = 'openbao') {
  const vault = new SimulatedVault({ dialect });
  const { roleId, secretId } = vault.appRole('app');
  const auth = appRole({ roleId, secretId: secretId() });
  const options = { address: 'http://vault.test', auth, retry: { initialDelay: 1, maxDelay: 1 } };
  const { connection, events } = await live(options, undefined, { transport: vault.transport() });
  open.push(connection);
  return { vault, connection, client: connection.client, events };
}

/** A connection whose server answers all but the look-up of the token with this. */
async function answering(answer: Partial<TransportResponse>) {
  const lookUp = { data: { ttl: 0, renewable: false, num_uses: 0 } };
  const transport: Sender = {
    send: ({ path }) =>
      Promise.resolve({
        statusCode: 200,
        headers: {},
        body: '',
        address: 'http://vault.test',
        ...(path.endsWith('lookup-self') ? { body: JSON.stringify(lookUp) } : answer),
      }),
    close: () => Promise.resolve(),
  };
  const { connection } = await live({ address: 'http://vault.test', auth: token('t') }, undefined, {
    transport,
  });
  open.push(connection);
  return connection.client;
}

describe.each(['openbao', 'vault'] as const)('a wrapped answer of %s', (dialect) => {
  it('returns its wrapping token, which gives the secret once', async () => {
    const { client } = await simulated(dialect);
    await client.write('secret/data/app', { data: { password: 'canary-wrapped' } });
    const { data, wrapInfo } = await client.read('secret/data/app', {
      headers: { 'X-Vault-Wrap-TTL': '60s' },
    });
    expect(data.reveal()).toBeNull();
    expect(wrapInfo).toEqual({
      token: expect.any(Secret),
      accessor: expect.any(String),
      ttl: 60,
      creationTime: expect.any(Date),
      creationPath: 'secret/data/app',
    });
    const wrapping = wrapInfo?.token.reveal() ?? '';
    expectNoLeak(wrapInfo, [wrapping]);
    const unwrapped = await client.write<{ data: object }>('sys/wrapping/unwrap', { token: wrapping });
    expect(unwrapped.data.reveal().data).toEqual({ password: 'canary-wrapped' });
    expect(unwrapped.wrapInfo).toBeUndefined();
    expect(await failureOf(client.write('sys/wrapping/unwrap', { token: wrapping }))).toMatchObject({
      code: 'VAULT_WRAPPING_TOKEN_INVALID',
    });
  });

  it('of a new token names that token by its accessor; unwrapped, it is complete', async () => {
    const { client } = await simulated(dialect);
    const made = await client.write(
      'auth/token/create',
      { ttl: '1h' },
      { headers: { 'x-vault-wrap-ttl': '60' } },
    );
    expect(made.token).toBeUndefined();
    expect(made.wrapInfo?.wrappedAccessor).toEqual(expect.any(String));
    const { token: of, auth } = await client.write('sys/wrapping/unwrap', {
      token: made.wrapInfo?.token.reveal(),
    });
    expect(auth?.reveal()).toMatchObject({
      accessor: made.wrapInfo?.wrappedAccessor,
      lease_duration: 3_600,
      client_token: of?.reveal(),
    });
  });
});

it('a list and a delete cannot return a wrapping token, and refuse the option', async () => {
  const { vault, client } = await simulated();
  const options = { headers: { 'X-vault-wrap-TTL': '60s' } };
  for (const asked of [client.list('secret/metadata', options), client.delete('secret/data/app', options)]) {
    const error = await failureOf(asked);
    expect(error).toMatchObject({ code: 'VAULT_REQUEST_INVALID' });
    expect(error.hint).toContain('request(');
  }
  expect(vault.count(/secret/)).toBe(0);
});

it('an invalid wrapping token is a failure', async () => {
  for (const wrap_info of [
    {},
    { token: 5, ttl: 60 },
    { token: 'a\r\nb', ttl: 60 },
    'x',
    [],
    { token: 'x' },
  ]) {
    const client = await answering({ body: JSON.stringify({ data: null, wrap_info }) });
    expect(await failureOf(client.read('any/path'))).toMatchObject({ code: 'VAULT_RESPONSE_INVALID' });
  }
});

describe.each(['openbao', 'vault'] as const)('answers without `data` of %s', (dialect) => {
  it.each(['sys/health', 'sys/seal-status', 'sys/leader', 'sys/init'])('%s', async (path) => {
    const { vault, client } = await simulated(dialect);
    const { data } = await client.read<object>(path);
    expect(data.reveal()).not.toHaveProperty('request_id');
    expect(Object.keys(data.reveal() ?? {}).join()).toMatch(/initialized|ha_enabled/);
    // They need no token, and have no namespace.
    expect(vault.requests(path)).toMatchObject([{ token: undefined, namespace: '' }]);
  });
});

it('an answer without the members of an envelope is returned whole; one with them, as before', async () => {
  const keys = { keys: [{ kid: 'one', kty: 'RSA' }] };
  const jwks = await answering({ body: JSON.stringify(keys) });
  expect((await jwks.read('identity/oidc/.well-known/keys')).data.reveal()).toEqual(keys);
  for (const body of ['', '{}', '{"data":null}', '{"request_id":"x","extra":1}', '{"auth":null,"extra":1}']) {
    const client = await answering({ body });
    expect((await client.read('any/path')).data.reveal()).toBeNull();
  }
});

describe('the health of a node is an answer for any status', () => {
  it.each<[string, (vault: SimulatedVault) => void, number, object]>([
    ['standby', (vault) => vault.standby(), 429, { standby: true, sealed: false }],
    ['sealed', (vault) => vault.seal(), 503, { sealed: true, initialized: true }],
    ['not initialised', (vault) => vault.health('uninitialized'), 501, { initialized: false }],
    ['DR secondary', (vault) => vault.health('dr-secondary'), 472, { replication_dr_mode: 'secondary' }],
    [
      'performance standby',
      (vault) => vault.health('performance-standby'),
      473,
      { performance_standby: true },
    ],
  ])('%s', async (_what, bring, status, members) => {
    const { vault, connection, client, events } = await simulated('vault');
    await client.read('sys/seal-status');
    bring(vault);
    const answer = await client.read('sys/health');
    expect(answer).toMatchObject({ status });
    expect(answer.data.reveal()).toMatchObject(members);
    // The answer does not show whether the server works.
    expect(events.filter(({ type }) => type.startsWith('vault-'))).toEqual([]);
    expect(connection.status.counters).toBeDefined();
  });

  it('is returned also when no login works, and does not count as a recovery', async () => {
    const vault = new SimulatedVault();
    vault.seal();
    const auth = appRole({ roleId: 'r', secretId: 's' });
    const options = { address: 'http://vault.test', auth, startup: { login: 'deferred' as const } };
    const { connection, events } = await live(options, undefined, { transport: vault.transport() });
    open.push(connection);
    expect(await failureOf(connection.client.read('secret/data/app'))).toMatchObject({
      code: 'VAULT_SEALED',
    });
    expect((await connection.client.read('sys/health')).status).toBe(503);
    expect(events.map(({ type }) => type).filter((type) => type.startsWith('vault-'))).toEqual([
      'vault-unreachable',
    ]);
  });

  it('a rate limit, and an answer that is not of Vault, are errors there, too', async () => {
    const limited = await answering({ statusCode: 429, body: '{"errors":["rate limit quota exceeded"]}' });
    expect(await failureOf(limited.read('sys/health'))).toMatchObject({ code: 'VAULT_RATE_LIMITED' });
    const page = await answering({ statusCode: 503, body: '<html>' });
    expect(await failureOf(page.read('sys/health'))).toMatchObject({ code: 'VAULT_NOT_VAULT' });
    const other = await answering({ statusCode: 503, body: '{"sealed":true,"initialized":true}' });
    expect(await failureOf(other.read('secret/data/app'))).toHaveProperty('status', 503);
  });
});

describe('answers that are no JSON', () => {
  const PEM = '-----BEGIN CERTIFICATE-----\nMIIBcanary\n-----END CERTIFICATE-----\n';
  const DER = Buffer.from([0x30, 0x82, 0xff, 0x00, 0xfe]);
  const type = (name: string) => ({ 'content-type': name });

  it('come as text', async () => {
    const client = await answering({ body: PEM, headers: type('application/pem-certificate-chain') });
    const answer = await client.read<string>('pki/ca/pem', { responseType: 'text' });
    expect(answer).toMatchObject({ status: 200, warnings: [], leaseId: '' });
    expect(answer.data.reveal()).toBe(PEM);
  });

  it('come as bytes', async () => {
    const client = await answering({
      body: DER.toString(),
      bytes: DER,
      headers: type('application/pkix-cert'),
    });
    const bytes = (await client.read<Buffer>('pki/ca', { responseType: 'bytes' })).data.reveal();
    expect(bytes.equals(DER)).toBe(true);
  });

  it('are undefined if there is nothing yet', async () => {
    const client = await answering({ statusCode: 204, headers: type('application/pkix-crl') });
    expect((await client.read('pki/ca/pem', { responseType: 'text' })).data.reveal()).toBe('');
    expect((await client.read('pki/crl', { responseType: 'bytes' })).data.reveal()).toHaveLength(0);
  });

  it('still return a wrapping token', async () => {
    const body = {
      data: null,
      wrap_info: {
        token: 's.wrapping',
        accessor: 'a',
        ttl: 60,
        creation_time: '',
        creation_path: 'pki/ca/pem',
      },
    };
    const client = await answering({ body: JSON.stringify(body), headers: type('application/json') });
    const { wrapInfo } = await client.read('pki/ca/pem', {
      responseType: 'text',
      headers: { 'x-vault-wrap-ttl': '60' },
    });
    expect(wrapInfo?.token.reveal()).toBe('s.wrapping');
  });

  it('still count as the web page of a proxy', async () => {
    const client = await answering({
      body: '<html>canary</html>',
      headers: type('text/html; charset=utf-8'),
    });
    const error = await failureOf(client.read('pki/ca/pem', { responseType: 'text' }));
    expect(error).toMatchObject({ code: 'VAULT_NOT_VAULT' });
  });

  it('are refused with a hint if requested as JSON', async () => {
    const client = await answering({ body: PEM, headers: type('application/pem-certificate-chain') });
    const error = await failureOf(client.read('pki/ca/pem'));
    expect(error).toMatchObject({ code: 'VAULT_NOT_VAULT' });
    expect(error.hint).toContain('`responseType`');
    expectNoLeak(error, ['MIIBcanary']);
  });

  it('cannot be requested in any other form', async () => {
    const client = await answering({});
    const responseType = 'arraybuffer' as unknown as 'text';
    expect(await failureOf(client.read('pki/ca', { responseType }))).toMatchObject({
      code: 'VAULT_REQUEST_INVALID',
    });
  });
});
