import { SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { firstAvailable } from '../../../lib/auth/first-available.js';
import { tlsCertificate } from '../../../lib/auth/tls-certificate.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus } from '../../../lib/events/events.js';
import { Authority, opensslAvailable, type Certificate } from '../../support/certificates.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';
import { asker } from '../testing/support.js';

const MINUTE = 60_000;

describe.skipIf(!opensslAvailable).each(['openbao', 'vault'] as const)(
  'a client certificate, on a simulated server (%s)',
  (dialect) => {
    const authority = new Authority();
    const other = new Authority('other');
    const [first, second] = ['one', 'two'].map((name) => authority.issue(name, `DNS:${name}`)) as [
      Certificate,
      Certificate,
    ];
    const foreign = other.issue('one', 'DNS:one');
    const expired = authority.issue('old', 'DNS:old', -1);
    let clock: VirtualClock;
    let vault: SimulatedVault;
    let bus: EventBus;
    let connection: VaultConnection | undefined;
    let presented: Certificate | undefined;

    beforeEach(async () => {
      clock = new VirtualClock();
      vault = new SimulatedVault({ clock, dialect });
      bus = new EventBus();
      presented = first;
      const ask = asker(vault);
      await ask('POST', 'sys/auth/cert', { type: 'cert' });
      await ask('POST', 'sys/policies/acl/app', { policy: 'path "database/*" { capabilities = ["read"] }' });
      const role = {
        token_policies: 'app',
        certificate: authority.cert,
        token_ttl: '10m',
        token_max_ttl: '5h',
      };
      await ask('POST', 'auth/cert/certs/app', role);
      vault.databaseRole('app');
      vault.clearHistory();
    });
    afterEach(async () => {
      if (connection) await clock.until(connection.close());
      connection = undefined;
    });
    afterAll(() => [authority, other].forEach((one) => one.remove()));

    const start = (auth = tlsCertificate({ name: 'app' })) => {
      const tls = { cert: first.cert, key: first.key };
      const options = resolveOptions({ address: 'https://vault:8200', auth, tls });
      const transport = vault.transport({ certificate: () => presented?.cert });
      connection = new VaultConnection(options, bus, clock, transport);
      return clock.until(connection.login());
    };
    const session = () => connection?.status.session;
    const reasons = () => bus.recent.flatMap((event) => (event.type === 'login' ? [event.reason] : []));

    it('logs in by one request, and renews with it', async () => {
      await start();
      await clock.advance(30 * MINUTE);
      expect(vault.count(/login/)).toBe(1);
      expect(vault.count(/renew-self/)).toBeGreaterThan(2);
      expect(session()).toMatchObject({ state: 'valid', sequence: 1 });
    });

    it('is replaced: a login with the new one follows within ten seconds, and leases are issued again', async () => {
      await start();
      await clock.until(connection?.leases.get('database/creds/app') as Promise<unknown>);
      await clock.advance(3 * MINUTE);
      presented = second;
      await clock.advance(11_000);
      expect(reasons()).toEqual(['start', 'source']);
      await clock.advance(60 * MINUTE);
      expect(bus.recent.map(({ type }) => type)).toContain('rotated');
      expect(bus.recent.map(({ type }) => type)).not.toContain('expired');
      expect(session()).toMatchObject({ state: 'valid', sequence: 2 });
      expect(bus.recent.filter(({ type }) => type.includes('failed'))).toEqual([]);
    });

    it('is replaced by one that the server refuses: the token is used to its end, and the error says why', async () => {
      await start();
      presented = foreign;
      await clock.advance(8 * MINUTE);
      expect(session()).toMatchObject({ state: 'degraded', sequence: 1 });
      expect(bus.recent.findLast(({ type }) => type === 'login-failed')).toMatchObject({
        error: { code: 'VAULT_LOGIN_INPUT_INVALID' },
      });
      // One login in a minute, although each renewal is replaced by one.
      expect(vault.count(/login/)).toBeLessThan(8);
      presented = second;
      await clock.advance(20_000);
      expect(session()).toMatchObject({ state: 'valid', sequence: 2 });
      expectNoLeak([bus.recent, connection?.status], [first.key, second.key]);
    });

    it('is one of several methods: one login, and a replacement is noticed', async () => {
      await start(firstAvailable(tlsCertificate()));
      await clock.advance(MINUTE);
      expect(reasons()).toEqual(['start']);
      presented = second;
      await clock.advance(11_000);
      expect(reasons()).toEqual(['start', 'source']);
    });

    it.each<[string, Certificate | undefined, RegExp]>([
      ['none', undefined, /received no client certificate.*ends TLS/],
      ['one of another authority', foreign, /No role of the login.*issuer of the certificate/],
      ['one that has expired', expired, /has expired, or is not yet valid.*Replace the files/],
    ])('says that the server got %s', async (_what, certificate, text) => {
      presented = certificate;
      const error = await failureOf(start());
      expect(error.code).toBe('VAULT_LOGIN_INPUT_INVALID');
      expect(error.message).toMatch(text);
    });

    it('has a name that the role does not allow', async () => {
      await asker(vault)('POST', 'auth/cert/certs/app', { allowed_common_names: '*.example.com' });
      const error = await failureOf(start());
      expect(error).toMatchObject({ code: 'VAULT_LOGIN_INPUT_INVALID' });
      expect(error.hint).toContain('allowed_common_names');
    });
  },
);

describe('the options of a connection that logs in with a client certificate', () => {
  const resolve = (options: object) => () =>
    resolveOptions({ address: 'https://vault:8200', auth: tlsCertificate(), ...options });

  it.each<[string, object, RegExp]>([
    ['no tls', {}, /logs in with a client certificate: give `tls.cert` and `tls.key`/],
    ['http', { address: 'http://127.0.0.1:8200' }, /needs https:\/\/ in each `address`/],
    ['an empty name', { auth: tlsCertificate({ name: '' }) }, /`name` that is empty or not a string/],
  ])('have %s: the start fails', (_what, options, problem) => {
    expect(resolve(options)).toThrow(problem);
  });
});
