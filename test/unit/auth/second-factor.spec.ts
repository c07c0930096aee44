import { SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appRole } from '../../../lib/auth/app-role.js';
import type { AuthMethod } from '../../../lib/auth/auth-method.js';
import { loginRequest } from '../../../lib/auth/plugin-login.js';
import { token } from '../../../lib/auth/token.js';
import { userpass } from '../../../lib/auth/userpass.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus } from '../../../lib/events/events.js';
import { fromWrappedToken, type SecretSource } from '../../../lib/secret/secret-source.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';
import { asker, type Ask } from '../testing/support.js';

const PASSWORD = 'canary-password';
const MINUTE = 60_000;

describe.each(['openbao', 'vault'] as const)('a second factor, on a simulated server (%s)', (dialect) => {
  let clock: VirtualClock;
  let vault: SimulatedVault;
  let bus: EventBus;
  let ask: Ask;
  let connection: VaultConnection | undefined;

  beforeEach(async () => {
    clock = new VirtualClock();
    vault = new SimulatedVault({ clock, dialect });
    ask = asker(vault);
    await ask('POST', 'sys/auth/userpass', { type: 'userpass' });
    const user = { password: PASSWORD, token_ttl: '10m', token_max_ttl: '1h' };
    await ask('POST', 'auth/userpass/users/bob', user);
    vault.clearHistory();
    // To the start of a period.
    await clock.advance(30_000 - (clock.wall() % 30_000));
  });
  afterEach(async () => {
    if (connection) await clock.until(connection.close());
    connection = undefined;
  });

  const start = (auth: AuthMethod, timeout = 45_000) => {
    bus = new EventBus();
    const options = resolveOptions({ address: 'https://vault:8200', auth, startup: { timeout } });
    connection = new VaultConnection(options, bus, clock, vault.transport());
    return clock.until(connection.login());
  };
  const bob = (totp?: SecretSource) =>
    userpass({ username: 'bob', password: PASSWORD, ...(totp !== undefined && { totp }) });
  const paths = () => vault.history.map(({ path }) => path.replace('/v1/', ''));
  const validations = () => vault.count(/mfa\/validate$/);
  const told = (...printed: unknown[]) => expectNoLeak([printed, bus.recent, connection?.status], [PASSWORD]);

  it('completes a login by the code of its source, read at each login', async () => {
    const { code } = vault.loginEnforcement('payments', 'userpass');
    let reads = 0;
    await start(bob(() => (reads++, code())));
    expect(paths()).toEqual(['auth/userpass/login/bob', 'sys/mfa/validate']);
    await clock.advance(70 * MINUTE);
    expect(connection?.status.session).toMatchObject({ state: 'valid', sequence: 2 });
    expect(reads).toBe(2);
    expect(bus.recent.map(({ type }) => type)).not.toContain('warning');
    told();
  });

  it('completes the login of any method', async () => {
    const { roleId, secretId } = vault.appRole('app');
    const enforced = vault.loginEnforcement('machines', 'approle');
    await start(appRole({ roleId, secretId: secretId(), totp: enforced.code }));
    expect(connection?.status.session.state).toBe('valid');
    await clock.until(connection?.close() as Promise<void>);
    vault.loginEnforcement('people', 'userpass');
    const path = 'auth/userpass/login/bob';
    const error = await failureOf(start(loginRequest({ path, body: { password: () => PASSWORD } })));
    expect(error.code).toBe('VAULT_LOGIN_MFA_REQUIRED');
  });

  it('is not sent if the server does not ask for it', async () => {
    await start(bob('123456'));
    expect(paths()).toEqual(['auth/userpass/login/bob']);
  });

  it('is missing: the error names the constraint and the option', async () => {
    vault.loginEnforcement('payments', 'userpass');
    const error = await failureOf(start(bob()));
    expect(error.code).toBe('VAULT_LOGIN_MFA_REQUIRED');
    expect(error.message).toMatch(/second factor at auth\/userpass\/login\/bob: payments \(totp\)/);
    expect(error.hint).toMatch(/give `totp`/);
    expect(validations()).toBe(0);
    told(error);
  });

  it('is of several constraints: one code does not meet them', async () => {
    const { code } = vault.loginEnforcement('payments', 'userpass');
    vault.loginEnforcement('people', 'userpass');
    const error = await failureOf(start(bob(code)));
    expect(error.code).toBe('VAULT_LOGIN_MFA_REQUIRED');
    expect(error.message).toMatch(/payments \(totp\), people \(totp\)/);
    expect(error.hint).toMatch(/serves one login enforcement/);
    expect(validations()).toBe(0);
  });

  it('is of two constraints with the same method: a code serves once, so none is sent', async () => {
    const first = vault.loginEnforcement('payments', 'userpass');
    const { code } = vault.loginEnforcement('people', 'userpass', first);
    expect(code()).toBe(first.code());
    const error = await failureOf(start(bob(code)));
    expect(error.code).toBe('VAULT_LOGIN_MFA_REQUIRED');
    expect(validations()).toBe(0);
  });

  it('served another process in this period: the start waits for the next code', async () => {
    const { code } = vault.loginEnforcement('payments', 'userpass');
    await start(bob(code));
    const other = connection as VaultConnection;
    await clock.advance(5_000);
    await start(bob(code));
    expect(connection?.status.session.state).toBe('valid');
    await clock.until(other.close());
  });

  it('meets a hiccup of the server: the same code is sent again', async () => {
    const { code } = vault.loginEnforcement('payments', 'userpass');
    vault.answer(503, { errors: ['Vault is sealed'] }, { times: 1, match: /mfa\/validate$/ });
    await start(bob(code), 10_000);
    expect(validations()).toBe(2);
    expect(clock.wall() % 30_000).toBeLessThan(10_000);
  });

  it('meets an answer that is lost: the start waits for the next code', async () => {
    const { code } = vault.loginEnforcement('payments', 'userpass');
    vault.dropResponse({ times: 1, match: /mfa\/validate$/ });
    await start(bob(code));
    expect(validations()).toBe(2);
  });

  it('is wrong twice: the start ends', async () => {
    vault.loginEnforcement('payments', 'userpass');
    let codes = 0;
    const error = await failureOf(start(bob(() => `00000${codes++}`)));
    expect(error).toMatchObject({ code: 'VAULT_LOGIN_INPUT_INVALID', status: 403 });
    expect(validations()).toBe(2);
  });

  it('is wrong: told once, and not sent again, until the source has another code', async () => {
    const { code } = vault.loginEnforcement('payments', 'userpass');
    const wrong = () => (code() === '000000' ? '000001' : '000000');
    let current: () => string = wrong;
    const error = await failureOf(
      start(
        bob(() => current()),
        0,
      ),
    );
    expect(error).toMatchObject({ code: 'VAULT_LOGIN_PROVIDER_UNAVAILABLE', status: 403 });
    expect(error.message).toMatch(/refuses the code of `totp`.*payments/);
    for (let times = 0; times < 10; times++) {
      await clock.advance(6_000);
      await clock.until(connection?.login().catch(() => undefined) as Promise<unknown>);
    }
    expect(validations()).toBe(1);
    expect(paths()).toHaveLength(2);
    current = code;
    await clock.advance(MINUTE);
    await clock.until(connection?.login() as Promise<unknown>);
    expect(connection?.status.session.state).toBe('valid');
    told(error);
  });

  it('serves once: a login within the same period waits for the next code', async () => {
    const { code } = vault.loginEnforcement('payments', 'userpass');
    await start(bob(code));
    vault.revokeAllTokens();
    const lost = await failureOf(
      clock.until(connection?.client.read('auth/token/lookup-self') as Promise<never>),
    );
    expect(lost.code).toBe('VAULT_LOGIN_PROVIDER_UNAVAILABLE');
    expect(lost.message).toMatch(/has no new TOTP code/);
    expect(validations()).toBe(1);
    await clock.advance(MINUTE);
    expect(connection?.status.session).toMatchObject({ state: 'valid', sequence: 2 });
    expect(validations()).toBe(2);
  });

  it('is lost on its way: the code counts as sent', async () => {
    const { code } = vault.loginEnforcement('payments', 'userpass');
    vault.dropResponse({ times: 1, match: /mfa\/validate$/ });
    await failureOf(start(bob(code), 0));
    const codes = validations();
    await clock.advance(2 * MINUTE);
    await clock.until(connection?.login() as Promise<unknown>);
    expect(codes).toBe(1);
  });

  it('is asked of a login that was wrapped', async () => {
    vault.loginEnforcement('payments', 'userpass');
    const login = ask(
      'POST',
      'auth/userpass/login/bob',
      { password: PASSWORD },
      {
        token: '',
        headers: { 'X-Vault-Wrap-TTL': '60s' },
      },
    );
    // OpenBao closes the connection without an answer.
    if (dialect === 'openbao') return expect(login).rejects.toThrow();
    const wrapping = (await login).body.wrap_info.token as string;
    const source = fromWrappedToken(wrapping, { creationPath: 'auth/userpass/login/bob' });
    const error = await failureOf(start(token(source)));
    expect(error.code).toBe('VAULT_SOURCE_UNREADABLE');
    expect(error.message).toMatch(/token in the response-wrapping token is unset or empty/);
  });
});
