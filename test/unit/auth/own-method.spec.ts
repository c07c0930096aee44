import { SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { VaultOptions } from '../../../lib/config/options.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus, type VaultEvent } from '../../../lib/events/events.js';
import { fromWrappedToken, Secret, VaultError, type AuthMethod, type Login } from '../../../lib/index.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';
import { asker } from '../testing/support.js';

const CANARY = 'canary-own-method';
const METHOD = 'own';
const MINUTE = 60_000;

describe('an auth method of the application', () => {
  let clock: VirtualClock;
  let vault: SimulatedVault;
  let connection: VaultConnection | undefined;
  let events: VaultEvent[];
  let role: { roleId: string; secretId: () => string };

  beforeEach(() => {
    clock = new VirtualClock();
    vault = new SimulatedVault({ clock });
    vault.databaseRole('app');
    role = vault.appRole('app', { tokenTtl: '10m', tokenMaxTtl: '1h' });
    events = [];
  });
  afterEach(async () => {
    if (connection) await clock.until(connection.close());
    connection = undefined;
  });

  const start = (login: AuthMethod['login'] | AuthMethod, options: Partial<VaultOptions> = {}) => {
    const auth = typeof login === 'function' ? { name: METHOD, login } : login;
    const bus = new EventBus();
    bus.events$.subscribe((event) => void events.push(event));
    const resolved = resolveOptions({ address: 'https://vault:8200', auth, ...options });
    connection = new VaultConnection(resolved, bus, clock, vault.transport());
    return clock.until(connection.login());
  };
  const loginOf = ({ roleId, secretId }: typeof role): AuthMethod['login'] => {
    return async (context) =>
      context.logIn('auth/approle/login', {
        role_id: roleId,
        secret_id: await context.read(secretId, { name: 'secret_id' }),
      });
  };
  const paths = () => vault.history.map(({ path }) => path.replace('/v1/', ''));

  it('has the whole life: renewal, login ahead of the max TTL, re-issue, revocation at the end', async () => {
    await start(loginOf(role));
    const issued = await clock.until(connection?.leases.get('database/creds/app') as Promise<unknown>);
    await clock.advance(50 * MINUTE);
    expect(paths().filter((path) => path.endsWith('renew-self')).length).toBeGreaterThan(3);
    await clock.advance(30 * MINUTE);
    expect(connection?.status.session).toMatchObject({ state: 'valid', sequence: 2 });
    vault.revokeAllTokens();
    await clock.advance(10 * MINUTE);
    expect(connection?.status.session.state).toBe('valid');
    expect(connection?.leases.current('database/creds/app')).not.toEqual(issued);
    await clock.until(connection?.close() as Promise<void>);
    expect(vault.tokenCount).toBe(1);
  });

  it('warns once with the same text', async () => {
    const login = loginOf(role);
    await start((context) => {
      for (let index = 0; index < 3; index++) context.warn('The role is near its limit.');
      return login(context);
    });
    expect(events.filter(({ type }) => type === 'warning')).toMatchObject([
      { code: 'auth-method-warning', message: 'The role is near its limit.' },
    ]);
  });

  const junk: [string, unknown, RegExp][] = [
    ['nothing', undefined, /it is undefined/],
    ['a token as text', { token: CANARY, ttl: 60, own: true }, /`token` is a string, not a Secret/],
    ['an empty token', { token: new Secret(''), ttl: 60, own: true }, /`token` is not a line/],
    [
      'two lines as a token',
      { token: new Secret(`${CANARY}\n`), ttl: 60, own: true },
      /`token` is not a line/,
    ],
    ['a TTL of NaN', { token: new Secret(CANARY), ttl: NaN, own: true }, /`ttl` is not a number/],
    ['a negative TTL', { token: new Secret(CANARY), ttl: -1, own: true }, /`ttl` is not a number/],
    ['a TTL without end', { token: new Secret(CANARY), ttl: Infinity, own: true }, /`ttl` is not a number/],
    [
      'no word on whose it is',
      { token: new Secret(CANARY), ttl: 60 },
      /`own` is undefined, not true or false/,
    ],
    ['uses of NaN', { token: new Secret(CANARY), ttl: 60, own: true, uses: NaN }, /`uses`/],
    [
      'an accessor of another type',
      { token: new Secret(CANARY), ttl: 60, own: true, accessor: 7 },
      /`accessor`/,
    ],
  ];
  it.each(junk)('that returns %s fails with a typed error', async (_what, login, problem) => {
    const error = await failureOf(start(() => Promise.resolve(login as Login)));
    expect(error.code).toBe('VAULT_EXTENSION_INVALID');
    expect(error.message).toMatch(/auth method "own" returned no valid login/);
    expect(error.message).toMatch(problem);
    expect(error.hint).toMatch(/context\.logIn/);
    expectNoLeak([error, events], [CANARY]);
  });

  it.each<[string, AuthMethod['login']]>([
    ['rejects', () => Promise.reject(new TypeError(CANARY))],
    [
      'throws',
      () => {
        throw new TypeError(CANARY);
      },
    ],
  ])('that %s with another error shows its class only', async (_what, login) => {
    const error = await failureOf(start(login, { startup: { timeout: 0 } }));
    expect(error.code).toBe('VAULT_SERVER_ERROR');
    expect(error.message).toMatch(/login by "own" failed with TypeError/);
    expectNoLeak([error, events], [CANARY]);
  });

  it('that never settles fails within the time limit, and gets a signal then', async () => {
    const signals: AbortSignal[] = [];
    const error = await failureOf(
      start(
        (context) => {
          signals.push(context.signal);
          return new Promise<never>(() => undefined);
        },
        { timeout: 1_000 },
      ),
    );
    expect(error.code).toBe('VAULT_TIMEOUT');
    expect(signals[0]?.aborted).toBe(true);
  });

  it.each<[string, (login: Login) => Login | Promise<Login>]>([
    ['throws after it', () => Promise.reject(new Error('badge'))],
    ['returns no login after it', (login) => ({ ...login, ttl: NaN })],
  ])('that obtains a token and %s leaves none', async (_what, after) => {
    const login: AuthMethod['login'] = async (context) => after(await loginOf(role)(context));
    await failureOf(start(login, { startup: { timeout: 0 } }));
    await clock.until(connection?.close() as Promise<void>);
    expect(paths()).toContain('auth/token/revoke-self');
    expect(vault.tokenCount).toBe(1);
  });

  it('that waits for a person has the time that it asks for, at the start and at renewals', async () => {
    const auth = { name: METHOD, login: loginOf(role), timeout: 90_000 };
    vault.delay(30_000, /(login|renew-self)$/);
    await start(auth);
    expect(connection?.status.session).toMatchObject({ state: 'valid', sequence: 1 });
    await clock.advance(15 * MINUTE);
    expect(vault.count(/renew-self$/)).toBe(2);
    expect(events.map(({ type }) => type)).toEqual(['login', 'token-renewed', 'token-renewed']);
  });

  it('that waits for a person fails after the time that it asks for', async () => {
    vault.delay(120_000, /login$/);
    const error = await failureOf(start({ name: METHOD, login: loginOf(role), timeout: 90_000 }));
    expect(error.code).toBe('VAULT_TIMEOUT');
    expect(clock.monotonic()).toBeLessThan(100_000);
  });

  it('that fails with a token after its time limit, while the connection closes, leaves none', async () => {
    const late: (() => void)[] = [];
    const login: AuthMethod['login'] = async (context) => {
      const made = await loginOf(role)(context);
      if (vault.count(/login$/) === 1) return made;
      return new Promise<never>((_resolve, reject) => late.push(() => reject(new Error('late'))));
    };
    await start({ name: METHOD, login, timeout: 1_000 });
    while (late.length === 0) await clock.advance(MINUTE);
    vault.delay(500, /revoke-self$/);
    const closed = connection?.close() as Promise<void>;
    await clock.advance(100);
    for (const fail of late) fail();
    await clock.until(closed);
    await clock.advance(1_000);
    expect(vault.tokenCount).toBe(1);
  });

  it('that logs in twice leaves none of the two tokens', async () => {
    await start(async (context) => {
      await loginOf(role)(context);
      return loginOf(role)(context);
    });
    expect(connection?.status.session.state).toBe('valid');
    await clock.until(connection?.close() as Promise<void>);
    expect(vault.tokenCount).toBe(1);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['an object', () => Promise.resolve({})],
    ['nothing, ever', () => new Promise(() => undefined)],
  ])('whose version is %s logs in once', async (_what, version) => {
    await start({ name: METHOD, login: loginOf(role), version } as AuthMethod);
    await clock.advance(5 * MINUTE);
    expect(paths().filter((path) => path === 'auth/approle/login')).toHaveLength(1);
  });

  it('keeps the code and the hint of a VaultError', async () => {
    const own = new VaultError({ code: 'VAULT_SOURCE_UNREADABLE', message: 'No badge.', hint: 'Show it.' });
    expect(await failureOf(start(() => Promise.reject(own)))).toBe(own);
  });

  it('may have a token that is not of this process: it is renewed, and never revoked', async () => {
    const { body } = await asker(vault)('POST', 'auth/token/create', { policies: ['default'], ttl: '1h' });
    const given = new Secret(body.auth.client_token as string);
    await start((context) => context.lookUp(given));
    await clock.advance(50 * MINUTE);
    expect(paths()).toContain('auth/token/renew-self');
    await clock.until(connection?.close() as Promise<void>);
    expect(paths()).not.toContain('auth/token/revoke-self');
    expect(events.at(-2)).toMatchObject({ type: 'token-ended', how: 'given' });
  });

  it('may make its token elsewhere: its TTL counts from the start of the login', async () => {
    const { body } = await asker(vault)('POST', 'auth/token/create', { policies: ['default'], ttl: '60s' });
    await start(async () => {
      const token = new Secret(body.auth.client_token as string);
      return Promise.resolve({ token, ttl: 59.5, own: true, renewable: true });
    });
    const { validUntil } = connection?.status.session ?? {};
    expect(Number(validUntil) - clock.wall()).toBe(59_500);
    await clock.until(connection?.close() as Promise<void>);
    expect(paths()).toContain('auth/token/revoke-self');
  });

  it('explains its own refusals, and does not repeat them for a minute', async () => {
    const refused = (words: RegExp): AuthMethod['login'] => {
      return (context) =>
        context.logIn(
          'auth/approle/login',
          { role_id: 'none', secret_id: CANARY },
          {
            explain: ({ said, status, path, namespace }) =>
              said(words)
                ? {
                    code: 'VAULT_LOGIN_INPUT_INVALID',
                    message: `${status} ${path} ${namespace}.`,
                    hint: 'Own.',
                  }
                : undefined,
          },
        );
    };
    const error = await failureOf(
      start(refused(/invalid role or secret ID/i), { startup: { login: 'deferred' } }),
    );
    expect(error).toMatchObject({ code: 'VAULT_LOGIN_INPUT_INVALID', hint: 'Own.', status: 400 });
    expect(error.message).toMatch(/^400 auth\/approle\/login \./);
    for (let second = 0; second < 50; second++) {
      await clock.advance(1_000);
      await clock.until(connection?.login().catch(() => undefined) as Promise<unknown>);
    }
    expect(paths()).toEqual(['auth/approle/login']);
    await clock.until(connection?.close() as Promise<void>);
    const other = await failureOf(start(refused(/never said/)));
    expect(other.code).toBe('VAULT_REQUEST_INVALID');
    expectNoLeak([error, other, events], [CANARY]);
  });

  it.each(['invalid username or password', 'invalid secret id'])(
    'that is refused with 500 as Vault 1.14 does, "%s", sends the same login once in a minute',
    async (words) => {
      vault.answer(500, { errors: [words] }, { match: /login/, times: Infinity });
      const login: AuthMethod['login'] = (context) =>
        context.logIn('auth/own/login/bob', { password: CANARY });
      const error = await failureOf(start(login, { startup: { login: 'deferred' } }));
      expect(error).toMatchObject({ code: 'VAULT_REQUEST_INVALID', status: 500 });
      for (let second = 0; second < 50; second++) {
        await clock.advance(1_000);
        await clock.until(connection?.login().catch(() => undefined) as Promise<unknown>);
      }
      expect(paths()).toEqual(['auth/own/login/bob']);
      expectNoLeak([error, events], [CANARY]);
    },
  );

  it('whose explanation fails gets the plain error', async () => {
    const explain = () => {
      throw new Error(CANARY);
    };
    const error = await failureOf(
      start((context) =>
        context.logIn('auth/approle/login', { role_id: 'none', secret_id: 'x' }, { explain }),
      ),
    );
    expect(error.code).toBe('VAULT_REQUEST_INVALID');
    expectNoLeak(error, [CANARY]);
  });

  it('that is denied gets an error on the method, not on a token', async () => {
    const error = await failureOf(start((context) => context.logIn('auth/jwt/login', { jwt: CANARY })));
    expect(error).toMatchObject({ code: 'VAULT_LOGIN_DENIED', status: 403, path: 'auth/jwt/login' });
    expectNoLeak(error, [CANARY]);
  });

  it('that is asked for a second factor gets an error that names it', async () => {
    const mfa_constraints = {
      payments: { any: [{ type: 'totp', id: 'x', uses_passcode: true }, { type: 'duo' }] },
    };
    const auth = { client_token: '', accessor: '', lease_duration: 0, renewable: false };
    vault.answer(200, { auth: { ...auth, mfa_requirement: { mfa_request_id: 'y', mfa_constraints } } });
    const error = await failureOf(start(loginOf(role)));
    expect(error.code).toBe('VAULT_LOGIN_MFA_REQUIRED');
    expect(error.message).toMatch(/second factor at auth\/approle\/login: payments \(totp or duo\)/);
  });

  it('reads wrapped inputs by their name, where they are expected', async () => {
    const secretId = role.secretId();
    const wrap = async (body: object) => {
      const headers = { 'X-Vault-Wrap-TTL': '60s' };
      return (await asker(vault)('POST', 'sys/wrapping/wrap', body, { headers })).body.wrap_info
        .token as string;
    };
    const login = (token: string, options = {}): AuthMethod['login'] =>
      loginOf({ ...role, secretId: fromWrappedToken(token, options) as never });
    const unexpected = await failureOf(start(login(await wrap({ secret_id: secretId }))));
    expect(unexpected.code).toBe('VAULT_WRAPPING_PATH_MISMATCH');
    await clock.until(connection?.close() as Promise<void>);
    await start(login(await wrap({ secret_id: secretId }), { creationPath: 'sys/wrapping/wrap' }));
    expect(connection?.status.session.state).toBe('valid');
    expectNoLeak([unexpected, events], [secretId]);
  });

  it.each<[string, unknown, RegExp]>([
    ['no login', { name: METHOD }, /`auth` must be an auth method/],
    ['a login that is no function', { name: METHOD, login: 'no' }, /`auth` must be an auth method/],
    ['no name', { login: loginOf }, /`auth` has no `name`/],
    ['problems', { name: METHOD, login: loginOf, problems: ['`own` needs a badge'] }, /`own` needs a badge/],
    [
      'a time limit of none',
      { name: METHOD, login: loginOf, timeout: 0 },
      /`timeout` of `auth` must be a number/,
    ],
    [
      'problems that are none',
      { name: METHOD, login: loginOf, problems: 'x' },
      /`problems` of `auth` is not an array/,
    ],
  ])('with %s fails the start', (_what, auth, problem) => {
    expect(() => resolveOptions({ address: 'https://vault', auth: auth as AuthMethod })).toThrow(problem);
  });

  it('needs a login and a name in its type, too', () => {
    // @ts-expect-error a name alone is no auth method
    const named: AuthMethod = { name: 'anything' };
    // @ts-expect-error neither is a kind
    const old: AuthMethod = { kind: 'anything' };
    expect([named, old]).toHaveLength(2);
  });
});
