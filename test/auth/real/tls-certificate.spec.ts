import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createRotatingPgPool } from '../../../lib/integrations/pg/index.js';
import { connectVault, tlsCertificate, type VaultEvent } from '../../../lib/core.js';
import { Authority, opensslAvailable, type Certificate } from '../../support/certificates.js';
import { closeConnections, connect } from '../../support/connect.js';
import { figure, Load, pause, until } from '../../support/driver-load.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';
import { describeReal, realServer } from '../../support/real-servers.js';
import { provision, startOpenBao, startPostgres, type OpenBaoServer } from '../../support/servers.mjs';

const REPLACEMENTS = 5;

// openssl makes the certificates.
(opensslAvailable ? describeReal : describe.skip)(`tlsCertificate, on ${realServer.name}`, () => {
  let authority: Authority;
  let server: Certificate;
  let dir: string;
  let bao: OpenBaoServer;
  const file = (name: string) => join(dir, name);
  let serial = 0;

  /** Replaces the files of the client certificate, first the key: a connection may see them between. */
  const replace = (by = authority) => {
    const { cert, key } = by.issue(`client-${++serial}`, `DNS:client-${serial}`);
    for (const [name, text] of Object.entries({ 'tls.key': key, 'tls.crt': cert })) {
      writeFileSync(file(`${name}.new`), text);
      renameSync(file(`${name}.new`), file(name));
    }
    return key;
  };
  const tls = () => ({ ca: authority.certFile, cert: file('tls.crt'), key: file('tls.key') });
  const role = async (fields: object) => {
    const answer = await bao.api('POST', 'auth/cert/certs/app', { certificate: authority.cert, ...fields });
    expect(answer.status).toBe(204);
  };

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'nestjs-vault-cert-'));
    authority = new Authority();
    server = authority.issue('server', 'IP:127.0.0.1');
    bao = await startOpenBao({ tls: { ...server, caFile: authority.certFile } });
    await bao.api('POST', 'sys/auth/cert', { type: 'cert' });
  });
  afterEach(closeConnections);
  afterAll(async () => {
    await bao?.stop();
    authority?.remove();
    rmSync(dir, { recursive: true, force: true });
  });

  it('logs in, renews, and logs in with another certificate when its files were replaced', async () => {
    await role({ token_ttl: '3s', token_max_ttl: '1h' });
    replace();
    const auth = tlsCertificate({ name: 'app' });
    const { connection, bus } = connect({ address: bao.address, auth, tls: tls() });
    await connection.login();
    await until(() => bus.recent.some(({ type }) => type === 'token-renewed'));
    const certificate = async () =>
      (
        (await connection.client.read('auth/token/lookup-self')).data.reveal() as {
          meta: { common_name: string };
        }
      ).meta.common_name;
    expect(await certificate()).toBe(`client-${serial}`);
    const key = replace();
    await until(() => connection.status.session.sequence === 2);
    expect(await certificate()).toBe(`client-${serial}`);
    await until(() => bus.recent.some((event) => event.type === 'token-renewed' && event.sequence === 2));
    expect(bus.recent.filter(({ type }) => type.includes('failed'))).toEqual([]);
    expectNoLeak([bus.recent, connection.status], [key]);
  });

  it('is of another authority: the error says so', async () => {
    const other = new Authority('other');
    try {
      await role({ token_ttl: '3s' });
      replace(other);
      const { connection } = connect({ address: bao.address, auth: tlsCertificate(), tls: tls() });
      const error = await failureOf(connection.login());
      expect(error.code).toBe('VAULT_LOGIN_INPUT_INVALID');
      expect(error.message).toMatch(/No role of the login.*accepts the client certificate/);
    } finally {
      other.remove();
    }
  });

  it('has expired: the error says so', async () => {
    await role({ token_ttl: '3s' });
    const { cert, key } = authority.issue('old', 'DNS:old', -1);
    const options = { ca: authority.certFile, cert, key };
    const { connection } = connect({ address: bao.address, auth: tlsCertificate(), tls: options });
    expect((await failureOf(connection.login())).message).toMatch(/has expired, or is not yet valid/);
  });

  it(`is replaced ${REPLACEMENTS} times under load, with tokens of seconds: no query fails`, async () => {
    const postgres = await startPostgres();
    try {
      await provision(bao, postgres, {
        roles: [{ name: 'app', defaultTtl: '4s', maxTtl: '12s' }],
        policyName: 'load',
      });
      await role({ token_ttl: '4s', token_max_ttl: '1h', token_policies: 'load' });
      const keys = [replace()];
      const vault = await connectVault({ address: bao.address, auth: tlsCertificate(), tls: tls() });
      const events: VaultEvent[] = [];
      vault.credentials.events$.subscribe((event) => void events.push(event));
      const { host, port, database } = postgres;
      const pool = await createRotatingPgPool(vault.credentials.database('app'), {
        host,
        port,
        database,
        max: 4,
      });
      const load = new Load(() => pool.query('select 1'), 25);
      const logins = () => events.filter(({ type }) => type === 'login').length;
      for (let times = 1; times <= REPLACEMENTS; times++) {
        keys.push(replace());
        const before = logins();
        await until(() => logins() > before, 15_000);
        await pause(500);
      }
      await load.stop();
      await pool.end();
      await vault.close();
      figure(
        `certificate replaced ${REPLACEMENTS} times: ${load.succeeded} queries, ${load.failures.length} failed`,
      );
      expect(load.failures).toEqual([]);
      expect(load.succeeded).toBeGreaterThan(100);
      expect(events.filter(({ type }) => type === 'expired' || type === 'login-failed')).toEqual([]);
      expectNoLeak(events, keys);
    } finally {
      await postgres.stop();
    }
  });
});
