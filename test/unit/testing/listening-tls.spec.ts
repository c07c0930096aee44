import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SimulatedVault } from 'nestjs-vault/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { tlsCertificate, token } from '../../../lib/index.js';
import { Authority, opensslAvailable, type Certificate } from '../../support/certificates.js';
import { closeConnections, connect } from '../../support/connect.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';
import { asker } from './support.js';

describe.skipIf(!opensslAvailable)('a simulated server that listens with TLS', () => {
  let authority: Authority;
  let server: Certificate;
  const clients: Certificate[] = [];
  let vault: SimulatedVault;
  let dir: string;

  beforeAll(() => {
    authority = new Authority();
    server = authority.issue('server', 'IP:127.0.0.1');
    for (const name of ['one', 'two']) clients.push(authority.issue(name, `DNS:${name}`));
    dir = mkdtempSync(join(tmpdir(), 'nestjs-vault-listening-'));
  });
  afterEach(async () => {
    await closeConnections();
    await vault.close();
  });
  afterAll(() => {
    authority?.remove();
    if (dir) rmSync(dir, { recursive: true, force: true });
  });

  /** Listens with a role that trusts the authority. */
  const listen = async (dialect: 'openbao' | 'vault' = 'openbao') => {
    vault = new SimulatedVault({ dialect });
    const ask = asker(vault);
    await ask('POST', 'sys/auth/cert', { type: 'cert' });
    await ask('POST', 'auth/cert/certs/app', { certificate: authority.cert, token_ttl: '1h' });
    return vault.listen({ tls: server });
  };
  const commonName = async ({ connection }: ReturnType<typeof connect>) => {
    const { data } = await connection.client.read('auth/token/lookup-self');
    return (data.reveal() as { meta: { common_name: string } }).meta.common_name;
  };

  it.each(['openbao', 'vault'] as const)('%s: a client certificate logs in', async (dialect) => {
    const address = await listen(dialect);
    expect(address).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    const [one, two] = clients as [Certificate, Certificate];
    const file = { cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') };
    const write = ({ cert, key }: Certificate) => {
      writeFileSync(file.key, key);
      writeFileSync(file.cert, cert);
    };
    write(one);
    const tls = { ca: authority.cert, ...file };
    const life = connect({ address, auth: tlsCertificate({ name: 'app' }), tls });
    expect(await commonName(life)).toBe('one');
    // A login after the certificate was replaced is over another connection.
    write(two);
    vault.revokeAllTokens();
    expect(await commonName(life)).toBe('two');
    expectNoLeak([life.bus.recent, life.connection.status], [one.key, two.key, server.key]);
  });

  it('serves requests without one, and says so to a login', async () => {
    const address = await listen();
    const tls = { ca: authority.cert };
    const { connection } = connect({ address, auth: token('root'), tls });
    expect((await connection.client.read('auth/token/lookup-self')).data.reveal()).toHaveProperty(
      'id',
      'root',
    );
    const { cert } = clients[0] as Certificate;
    const proxied = connect({ address, auth: { ...tlsCertificate(), clientCertificate: false }, tls });
    const error = await failureOf(proxied.connection.login());
    expect(error.message).toMatch(/received no client certificate/);
    expectNoLeak(error, [cert]);
  });

  it('is not trusted without its authority', async () => {
    const { connection } = connect({ address: await listen(), auth: token('root') });
    expect((await failureOf(connection.login())).code).toBe('VAULT_TLS_UNTRUSTED');
  });

  it('answers the method LIST', async () => {
    const { port } = new URL(await listen());
    const answer = await new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port,
          path: '/v1/auth/cert/certs',
          method: 'LIST',
          headers: { 'x-vault-token': 'root' },
          ca: authority.cert,
          agent: false,
        },
        (response) => {
          let body = '';
          response.on('data', (chunk: Buffer) => (body += chunk.toString()));
          response.on('end', () => resolve({ status: response.statusCode, body }));
        },
      );
      sent.on('error', reject).end();
    });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body).data.keys).toEqual(['app']);
  });
});
