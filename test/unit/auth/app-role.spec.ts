import { describe, expect, it } from 'vitest';
import { appRole, type AppRoleOptions } from '../../../lib/auth/app-role.js';
import type { AuthMethod } from '../../../lib/auth/auth-method.js';
import { RefusedLogins } from '../../../lib/auth/refused-logins.js';
import { prepareLogin, type LoginParts } from '../../../lib/auth/run-login.js';
import { token } from '../../../lib/auth/token.js';
import { VaultError, type VaultErrorCode } from '../../../lib/errors/vault-error.js';
import { fromFile, fromWrappedToken } from '../../../lib/secret/secret-source.js';
import { failureOf } from '../../support/leaks.js';
import { HandClock } from '../../support/virtual-clock.js';

const AUTH = { client_token: 'canary-token', accessor: 'a', lease_duration: 60, renewable: true, whole: {} };
const failure = (code: VaultErrorCode, status = 403) =>
  new VaultError({ code, message: 'refused', hint: 'none', status });

/** A server that gives these answers, one after the other, then the last one again and again. */
function serverOf(...answers: (object | VaultError)[]) {
  const clock = new HandClock();
  const sent: Record<string, unknown>[] = [];
  const warnings: string[] = [];
  const parts = {
    clock,
    signal: new AbortController().signal,
    refused: new RefusedLogins(clock),
    warn: (message: string) => void warnings.push(message),
    reading: () => undefined,
    send: async (request: object) => {
      sent.push({ ...request });
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer instanceof VaultError) throw answer;
      return { warnings: [], wellFormed: true, sentAt: { monotonic: 0, wall: 0 }, ...answer };
    },
  } as unknown as LoginParts;
  return { clock, login: (method: AuthMethod) => prepareLogin(parts).run(method), sent, warnings };
}

describe('a login with AppRole', () => {
  const role: AppRoleOptions = { roleId: 'role', secretId: 'canary-secret-id' };

  it('does not send a refused secret_id again within a minute; another one is sent at once', async () => {
    let secretId = 'canary-old';
    const { clock, login, sent } = serverOf(failure('VAULT_LOGIN_INPUT_INVALID', 400));
    const method = appRole({ roleId: 'role', secretId: () => secretId });
    for (let times = 0; times < 5; times++) {
      expect((await failureOf(login(method))).code).toBe('VAULT_LOGIN_INPUT_INVALID');
      clock.advance(10_000);
    }
    expect(sent).toHaveLength(1);
    clock.advance(10_000);
    await failureOf(login(method));
    expect(sent).toHaveLength(2);
    secretId = 'canary-new';
    await failureOf(login(method));
    expect(sent.map(({ body }) => (body as { secret_id: string }).secret_id)).toEqual([
      'canary-old',
      'canary-old',
      'canary-new',
    ]);
  });

  it('goes to the namespace of the method, past caches, without blanks around the role_id', async () => {
    const { login, sent, warnings } = serverOf({ auth: AUTH, warnings: ['near its limit'] });
    const made = await login(appRole({ ...role, roleId: ' role\n', namespace: 'team' }));
    expect(sent).toEqual([
      {
        namespace: 'team',
        method: 'POST',
        path: 'auth/approle/login',
        body: { role_id: 'role', secret_id: 'canary-secret-id' },
        uncached: true,
        explain: expect.any(Function),
      },
    ]);
    expect(made).toMatchObject({ namespace: 'team', own: true, uses: 0, type: 'service', ttl: 60 });
    expect(warnings).toEqual(['near its limit']);
  });

  it('looks up a wrapping token in the namespace of the method', async () => {
    const { login, sent } = serverOf(failure('VAULT_WRAPPING_TOKEN_INVALID'));
    const secretId = fromWrappedToken('canary-wrapping');
    await failureOf(login(appRole({ ...role, secretId, namespace: 'team' })));
    expect(sent[0]).toMatchObject({ path: 'sys/wrapping/lookup', namespace: 'team' });
  });

  it('has the type and the number of uses from the answer', async () => {
    const { login } = serverOf({ auth: { ...AUTH, num_uses: 3, token_type: 'batch' } });
    expect(await login(appRole(role))).toMatchObject({ uses: 3, type: 'batch' });
  });

  it.each<[string, object]>([
    ['a token that has ended', { auth: { ...AUTH, lease_duration: 0 } }],
    ['no token', { auth: { ...AUTH, client_token: '' } }],
    ['no auth', { auth: null }],
    ['members of other types', { auth: AUTH, wellFormed: false }],
  ])('fails if the answer has %s', async (_title, answer) => {
    const error = await failureOf(serverOf(answer).login(appRole(role)));
    expect(error.code).toBe('VAULT_RESPONSE_INVALID');
  });

  it.each<[string, VaultErrorCode, number, VaultErrorCode]>([
    ['is locked out', 'VAULT_LOGIN_INPUT_INVALID', 400, 'VAULT_LOGIN_LOCKED_OUT'],
    ['has another mount', 'VAULT_PERMISSION_DENIED', 403, 'VAULT_LOGIN_DENIED'],
  ])('distinguishes a role that %s by a login with random ids', async (_title, probe, status, code) => {
    const { login, sent } = serverOf(failure('VAULT_PERMISSION_DENIED'), failure(probe, status));
    const error = await failureOf(login(appRole({ ...role, namespace: 'team' })));
    expect(error.code).toBe(code);
    expect(sent.map(({ namespace }) => namespace)).toEqual(['team', 'team']);
    expect(JSON.stringify(sent[1])).not.toContain('canary');
  });

  it.each<[string, object, RegExp]>([
    ['an empty namespace', { namespace: '' }, /namespace/],
    ['a secretId that is undefined', { secretId: undefined }, /secretId/],
  ])('refuses %s', (_title, options, problem) => {
    expect(appRole({ ...role, ...options }).problems?.join()).toMatch(problem);
  });
});

describe('a login with a given token', () => {
  it.each<[string, object, object]>([
    ['in its last second does not count as one without expiry', { ttl: 0, expire_time: 'soon' }, { ttl: 1 }],
    ['without expiry has none', { ttl: 0, expire_time: null }, { ttl: 0 }],
    ['that cannot be renewed', { ttl: 9, renewable: false }, { renewable: false }],
    ['of few uses', { ttl: 9, num_uses: 2 }, { uses: 2 }],
    ['is never ours', { ttl: 9 }, { own: false }],
  ])('%s', async (_title, data, expected) => {
    const { login } = serverOf({ data });
    expect(await login(token('canary-given'))).toMatchObject(expected);
  });

  it.each([{ ttl: -1 }, { ttl: 9, num_uses: 'many' }, {}])(
    'fails if the look-up answers %o',
    async (data) => {
      const error = await failureOf(serverOf({ data }).login(token('canary-given')));
      expect(error.code).toBe('VAULT_RESPONSE_INVALID');
    },
  );

  it('watches a file, and nothing else', () => {
    expect('version' in token(fromFile('/run/token'))).toBe(true);
    expect('version' in token('canary-given')).toBe(false);
  });
});
