import { SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { AuthMethod } from '../../../lib/auth/auth-method.js';
import { github } from '../../../lib/auth/github.js';
import { ldap } from '../../../lib/auth/ldap.js';
import { okta } from '../../../lib/auth/okta.js';
import type { PasswordOptions } from '../../../lib/auth/password-login.js';
import { loginRequest } from '../../../lib/auth/plugin-login.js';
import { radius } from '../../../lib/auth/radius.js';
import { userpass } from '../../../lib/auth/userpass.js';
import type { VaultOptions } from '../../../lib/config/options.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus } from '../../../lib/events/events.js';
import { Secret } from '../../../lib/secret/secret.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';
import { asker } from '../testing/support.js';

const PASSWORD = 'canary-password';
const METHODS = { userpass, ldap, radius, okta };
type Name = keyof typeof METHODS;
const NAMES = Object.keys(METHODS) as Name[];

let connection: VaultConnection | undefined;
let clock: VirtualClock;
let vault: SimulatedVault;
let bus: EventBus;

afterEach(async () => {
  if (connection) await clock.until(connection.close());
  connection = undefined;
});

/** A server with this method, and the user bob. */
async function serverWith(method: string, dialect: 'openbao' | 'vault' = 'vault') {
  clock = new VirtualClock();
  vault = new SimulatedVault({ clock, dialect });
  const ask = asker(vault);
  const set = async (path: string, body: object) => {
    const { status, body: answer } = await ask('POST', path, body);
    if (status > 299) throw new Error(`${path}: ${JSON.stringify(answer)}`);
  };
  await set(`sys/auth/${method}`, { type: method });
  const lasting = { token_ttl: '10m', token_max_ttl: '1h', token_policies: ['app'] };
  if (method === 'userpass') await set('auth/userpass/users/bob', { password: PASSWORD, ...lasting });
  else await set(`auth/${method}/config`, { organization: 'acme', ...lasting });
  vault.directory.users.set('bob', { password: PASSWORD, groups: ['acme'] });
  vault.clearHistory();
  return { ask, set };
}

function start(auth: AuthMethod, options: Partial<VaultOptions> = {}): Promise<unknown> {
  const resolved = resolveOptions({ address: 'https://vault:8200', auth, ...options });
  bus = new EventBus();
  connection = new VaultConnection(resolved, bus, clock, vault.transport());
  return clock.until(connection.login());
}
const logins = () => vault.count(/\/login/);
const told = (error: unknown) => expectNoLeak([error, bus.recent, connection?.status], [PASSWORD]);

describe.each(NAMES)('%s', (name) => {
  const method = (options: Partial<PasswordOptions> = {}) =>
    METHODS[name]({ username: 'bob', password: PASSWORD, ...options });

  it('logs in by one request, and reads the password again at the next login', async () => {
    await serverWith(name);
    let reads = 0;
    const password = () => (reads++, Promise.resolve(new Secret(PASSWORD)));
    await start(method({ password }));
    expect(vault.history.map((one) => `${one.method} ${one.path}`)).toEqual([
      `POST /v1/auth/${name}/login/bob`,
    ]);
    await clock.advance(70 * 60_000);
    expect(connection?.status.session).toMatchObject({ state: 'valid', sequence: 2 });
    expect(reads).toBe(2);
    expect(bus.recent.filter(({ type }) => type.includes('failed'))).toEqual([]);
    told(undefined);
  });

  it('refuses a wrong password with the remedy, and sends it once in a minute', async () => {
    await serverWith(name);
    const wrong = 'canary-wrong';
    const error = await failureOf(
      start(method({ password: wrong }), { startup: { login: 'deferred', timeout: 0 } }),
    );
    expect(error.code).toBe('VAULT_LOGIN_INPUT_INVALID');
    expect(error.message).toMatch(/refuses the user name or the password/);
    for (let second = 0; second < 50; second += 5) {
      await clock.advance(5_000);
      await clock.until(connection?.login().catch(() => undefined) as Promise<unknown>);
    }
    expect(logins()).toBe(1);
    expectNoLeak([error, bus.recent], [wrong]);
  });

  it('says that it is not enabled, or that the network is another one', async () => {
    await serverWith(name);
    const error = await failureOf(start(method({ mountPath: 'elsewhere' })));
    expect(error).toMatchObject({ code: 'VAULT_LOGIN_DENIED', status: 403 });
    expect(error.hint).toMatch(/is enabled at `mountPath`.*token_bound_cidrs/);
    told(error);
  });

  it.each(['a/b', '', '..', 'a\nb'])('refuses the user name %j at the start', (username) => {
    expect(() => resolveOptions({ address: 'https://vault', auth: method({ username }) })).toThrow(
      /`auth: \w+` (?:needs a|has a) `username`/,
    );
  });

  it('encodes a user name, which the server decodes', async () => {
    const { set } = await serverWith(name);
    const odd = 'CORP\\bob 100%@é';
    if (name === 'userpass')
      await set(`auth/userpass/users/${encodeURIComponent(odd)}`, { password: PASSWORD });
    vault.directory.users.set(odd, { password: PASSWORD });
    await start(method({ username: odd }));
    expect(connection?.status.session.state).toBe('valid');
  });
});

describe.each(['userpass', 'ldap'] as const)('a user of %s who is locked out', (name) => {
  it('is not so by one process alone with a wrong password, however long', async () => {
    await serverWith(name);
    let password = 'canary-wrong';
    const method = METHODS[name]({ username: 'bob', password: () => password });
    await failureOf(start(method, { startup: { login: 'deferred', timeout: 0 } }));
    for (let minute = 0; minute < 120; minute++) {
      await clock.advance(60_000);
      await clock.until(connection?.login().catch(() => undefined) as Promise<unknown>);
    }
    expect(logins()).toBeLessThan(12);
    expect(vault.history.every(({ status }) => status === 400)).toBe(true);
    password = PASSWORD;
    await clock.advance(60_000);
    await clock.until(connection?.login() as Promise<unknown>);
    expect(connection?.status.session.state).toBe('valid');
  });

  it('is told also with the right password, and each attempt is spaced out', async () => {
    const { ask } = await serverWith(name);
    for (let times = 0; times < 5; times++)
      await ask('POST', `auth/${name}/login/bob`, { password: 'x' }, { token: '' });
    vault.clearHistory();
    const error = await failureOf(start(METHODS[name]({ username: 'bob', password: PASSWORD })));
    expect(error.code).toBe('VAULT_LOGIN_LOCKED_OUT');
    expect(error.hint).toMatch(/refuses the right password as well.*sys\/locked-users/);
    told(error);
    expect(vault.history.map(({ path }) => path)).toEqual([
      `/v1/auth/${name}/login/bob`,
      expect.stringMatching(new RegExp(`^/v1/auth/${name}/login/[0-9a-f-]{36}$`)),
    ]);
  });
});

describe.each<[Name | 'github', AuthMethod]>([
  ['ldap', ldap({ username: 'bob', password: PASSWORD })],
  ['radius', radius({ username: 'bob', password: PASSWORD })],
  ['okta', okta({ username: 'bob', password: PASSWORD })],
  ['github', github({ token: PASSWORD })],
])('the directory behind %s', (name, auth) => {
  it('is down at the start: the login is repeated until it answers', async () => {
    await serverWith(name);
    vault.directory.down = true;
    clock.setTimer(3_000, () => void (vault.directory.down = false));
    await start(auth);
    expect(bus.recent.map(({ type }) => type)).toContain('login-failed');
    expect(connection?.status.session.state).toBe('valid');
  });

  it('is down at the start for long: the error names it', async () => {
    await serverWith(name);
    vault.directory.down = true;
    const error = await failureOf(start(auth));
    expect(error.code).toBe('VAULT_BACKEND_FAILED');
    expect(error.message).toMatch(/no answer from (?:the LDAP directory|the RADIUS server|Okta|GitHub)/);
    told(error);
  });

  it('is down at renewals: they are repeated, and no login is wasted', async () => {
    await serverWith(name);
    await start(auth);
    vault.directory.down = true;
    await clock.advance(7.5 * 60_000);
    expect(bus.recent.some(({ type }) => type === 'token-renewal-failed')).toBe(true);
    vault.directory.down = false;
    await clock.advance(30_000);
    expect(connection?.status.session).toMatchObject({ state: 'valid', sequence: 1 });
    expect(logins()).toBe(1);
    told(undefined);
  });

  it('is down at renewals until shortly before the end: no gap', async () => {
    await serverWith(name);
    await start(auth);
    vault.directory.down = true;
    await clock.advance(9 * 60_000);
    // Renewals were not the last resort.
    expect(logins()).toBeGreaterThan(1);
    vault.directory.down = false;
    await clock.advance(59_000);
    expect(connection?.status.session.state).toBe('valid');
    await clock.advance(5 * 60_000);
    expect(connection?.status.session.state).toBe('valid');
    expect(bus.recent.some((event) => event.type === 'login' && event.reason === 'token-lost')).toBe(false);
  });

  it('maps to other policies: a login follows, without a gap', async () => {
    const { set } = await serverWith(name);
    await start(auth);
    await set(`auth/${name}/config`, { token_policies: ['other'] });
    await clock.advance(8 * 60_000);
    expect(connection?.status.session).toMatchObject({ state: 'valid', sequence: 2 });
    expect(bus.recent.map(({ type }) => type)).toEqual(['login', 'login', 'token-ended']);
  });
});

describe.each(['ldap', 'radius', 'okta'] as const)('a password of %s that changed', (name) => {
  it('is refused at a renewal: one login with the new password follows at once', async () => {
    await serverWith(name);
    let password = PASSWORD;
    await start(METHODS[name]({ username: 'bob', password: () => password }));
    password = 'canary-next';
    vault.directory.users.set('bob', { password, groups: ['acme'] });
    await clock.advance(7.5 * 60_000);
    expect(connection?.status.session).toMatchObject({ state: 'valid', sequence: 2 });
    expect(vault.count(/renew-self$/)).toBe(1);
    expect(logins()).toBe(2);
  });

  it('and is not delivered: few requests with the old one, and the token stays in use while it lives', async () => {
    await serverWith(name);
    await start(METHODS[name]({ username: 'bob', password: PASSWORD }));
    vault.directory.users.set('bob', { password: 'canary-next', groups: ['acme'] });
    await clock.advance(9.5 * 60_000);
    expect(connection?.status.session.sequence).toBe(1);
    expect(connection?.status.session.state).toBe('degraded');
    expect(vault.count(/renew-self$/)).toBe(1);
    expect(logins()).toBeLessThanOrEqual(4);
  });
});

describe('okta', () => {
  const auth = okta({ username: 'bob', password: PASSWORD });

  it('waits for a push longer than for other requests, also at the start', async () => {
    await serverWith('okta');
    vault.delay(60_000, /login/);
    await start(auth);
    expect(connection?.status.session.state).toBe('valid');
    expect(clock.monotonic()).toBe(60_000);
    expect(logins()).toBe(1);
  });

  it.each<[string, string, string]>([
    ['rejected', 'multi-factor authentication denied', 'VAULT_LOGIN_DENIED'],
    ['unanswered', 'failed to complete multi-factor authentication', 'VAULT_LOGIN_DENIED'],
    [
      'impossible',
      'Okta Verify Push or TOTP or Google TOTP factor is required in order to perform MFA',
      'VAULT_LOGIN_MFA_REQUIRED',
    ],
    ['an expired password', 'okta authentication failed', 'VAULT_LOGIN_INPUT_INVALID'],
    [
      'throttled',
      'Okta auth failed: HTTP Method: POST - URL: https://x/api/v1/authn: - HTTP Status Code: 429, OKTA Error Code: E0000047',
      'VAULT_BACKEND_FAILED',
    ],
  ])('tells a push that is %s', async (_what, words, code) => {
    await serverWith('okta');
    vault.answer(400, { errors: [words] }, { match: /login/ });
    expect((await failureOf(start(auth))).code).toBe(code);
  });
});

describe('github', () => {
  const auth = github({ token: PASSWORD });

  it('says that GitHub does not know the token, and asks it once in a minute', async () => {
    await serverWith('github');
    vault.directory.users.clear();
    const error = await failureOf(start(auth));
    expect(error.code).toBe('VAULT_LOGIN_INPUT_INVALID');
    expect(error.message).toMatch(/GitHub does not accept the token/);
    for (let times = 0; times < 5; times++)
      await clock.until(connection?.login().catch(() => undefined) as Promise<unknown>);
    expect(logins()).toBe(1);
    told(error);
  });

  it('says that the user is not in the organisation', async () => {
    await serverWith('github');
    vault.directory.users.set('bob', { password: PASSWORD });
    const error = await failureOf(start(auth));
    expect(error).toMatchObject({ code: 'VAULT_LOGIN_DENIED', status: 500 });
  });
});

describe.each(['openbao', 'vault'] as const)('userpass of %s', (dialect) => {
  const auth = () => userpass({ username: 'bob', password: PASSWORD });

  it('whose user is deleted: the renewal that extends nothing does not count, and a login says why', async () => {
    const { ask } = await serverWith('userpass', dialect);
    await start(auth());
    await ask('DELETE', 'auth/userpass/users/bob');
    await clock.advance(7.5 * 60_000);
    expect(bus.recent.map(({ type }) => type)).not.toContain('token-renewed');
    expect(connection?.status.session).toMatchObject({ state: 'degraded', sequence: 1 });
    expect(bus.recent.findLast(({ type }) => type === 'login-failed')).toMatchObject({
      error: { code: 'VAULT_LOGIN_INPUT_INVALID' },
    });
  });

  it('whose user is deleted and created again: no gap', async () => {
    const { ask, set } = await serverWith('userpass', dialect);
    await start(auth());
    await ask('DELETE', 'auth/userpass/users/bob');
    await clock.advance(7 * 60_000);
    await set('auth/userpass/users/bob', { password: PASSWORD, token_ttl: '10m' });
    await clock.advance(2.9 * 60_000);
    expect(connection?.status.session).toMatchObject({ state: 'valid', sequence: 2 });
  });
});

describe('loginRequest', () => {
  it('logs in by any path, and reads the sources among the members at each login', async () => {
    await serverWith('userpass');
    let reads = 0;
    const password = () => (reads++, PASSWORD);
    await start(
      loginRequest({ path: 'auth/userpass/login/bob', body: { password, role: 'orders', list: [1] } }),
    );
    await clock.advance(70 * 60_000);
    expect(connection?.status.session).toMatchObject({ state: 'valid', sequence: 2 });
    expect(reads).toBe(2);
  });

  it.each<[string, object, RegExp]>([
    ['no path', {}, /needs the `path` of a login below auth\//],
    ['another path', { path: 'secret/data/x' }, /needs the `path`/],
    ['a query', { path: 'auth/x/login?role=y' }, /needs the `path`/],
    ['no object as a body', { path: 'auth/x/login', body: 'x' }, /`body` that is not an object/],
    ['an unset member', { path: 'auth/x/login', body: { jwt: undefined } }, /`body.jwt` that is undefined/],
    ['an unknown option', { path: 'auth/x/login', token: PASSWORD }, /has no option `token`/],
  ])('with %s fails the start', (_what, options, problem) => {
    expect(loginRequest(options as never).problems?.join()).toMatch(problem);
  });
});
