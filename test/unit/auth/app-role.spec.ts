import { describe, expect, it } from 'vitest';
import { appRole, type AppRoleOptions } from '../../../lib/auth/app-role.js';
import type { LoginContext } from '../../../lib/auth/auth-method.js';
import { token } from '../../../lib/auth/token.js';
import { VaultError, type VaultErrorCode } from '../../../lib/errors/vault-error.js';
import { fromFile, fromWrappedToken } from '../../../lib/secret/secret-source.js';
import { failureOf } from '../../support/leaks.js';
import { HandClock } from '../../support/virtual-clock.js';

const AUTH = { client_token: 'canary-token', accessor: 'a', lease_duration: 60, renewable: true };
const failure = (code: VaultErrorCode) =>
  new VaultError({ code, message: 'refused', hint: 'none', status: 403 });

/** A server that gives these answers, one after the other, then the last one again and again. */
function serverOf(...answers: (object | VaultError)[]) {
  const clock = new HandClock();
  const sent: Record<string, unknown>[] = [];
  const warnings: string[] = [];
  const context = {
    clock,
    warn: (message: string) => void warnings.push(message),
    reading: () => undefined,
    send: async (request: object) => {
      sent.push({ ...request });
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer instanceof VaultError) throw answer;
      return { warnings: [], wellFormed: true, sentAt: { monotonic: 0, wall: 0 }, ...answer };
    },
  } as unknown as LoginContext;
  return { clock, context, sent, warnings };
}

describe('a login with AppRole', () => {
  const role: AppRoleOptions = { roleId: 'role', secretId: 'canary-secret-id' };

  it('does not send a refused secret_id again within a minute; another one is sent at once', async () => {
    let secretId = 'canary-old';
    const { clock, context, sent } = serverOf(failure('VAULT_SECRET_ID_INVALID'));
    const method = appRole({ roleId: 'role', secretId: () => secretId });
    for (let times = 0; times < 5; times++) {
      expect((await failureOf(method.login(context))).code).toBe('VAULT_SECRET_ID_INVALID');
      clock.advance(10_000);
    }
    expect(sent).toHaveLength(1);
    clock.advance(10_000);
    await failureOf(method.login(context));
    expect(sent).toHaveLength(2);
    secretId = 'canary-new';
    await failureOf(method.login(context));
    expect(sent.map(({ body }) => (body as { secret_id: string }).secret_id)).toEqual([
      'canary-old',
      'canary-old',
      'canary-new',
    ]);
  });

  it('goes to the namespace of the method, past caches, without blanks around the role_id', async () => {
    const { context, sent, warnings } = serverOf({ auth: AUTH, warnings: ['near its limit'] });
    const login = await appRole({ ...role, roleId: ' role\n', namespace: 'team' }).login(context);
    expect(sent).toEqual([
      {
        namespace: 'team',
        method: 'POST',
        path: 'auth/approle/login',
        body: { role_id: 'role', secret_id: 'canary-secret-id' },
        uncached: true,
      },
    ]);
    expect(login).toMatchObject({ namespace: 'team', own: true, uses: 0, type: 'service', ttl: 60 });
    expect(warnings).toEqual(['near its limit']);
  });

  it('looks up a wrapping token in the namespace of the method', async () => {
    const { context, sent } = serverOf(failure('VAULT_WRAPPING_TOKEN_INVALID'));
    const secretId = fromWrappedToken('canary-wrapping');
    await failureOf(appRole({ ...role, secretId, namespace: 'team' }).login(context));
    expect(sent[0]).toMatchObject({ path: 'sys/wrapping/lookup', namespace: 'team' });
  });

  it('has the type and the number of uses from the answer', async () => {
    const { context } = serverOf({ auth: { ...AUTH, num_uses: 3, token_type: 'batch' } });
    expect(await appRole(role).login(context)).toMatchObject({ uses: 3, type: 'batch' });
  });

  it.each<[string, object]>([
    ['a token that has ended', { auth: { ...AUTH, lease_duration: 0 } }],
    ['no token', { auth: { ...AUTH, client_token: '' } }],
    ['no auth', { auth: null }],
    ['members of other types', { auth: AUTH, wellFormed: false }],
  ])('fails if the answer has %s', async (_title, answer) => {
    const error = await failureOf(appRole(role).login(serverOf(answer).context));
    expect(error.code).toBe('VAULT_RESPONSE_INVALID');
  });

  it.each<[string, VaultErrorCode, VaultErrorCode]>([
    ['is locked out', 'VAULT_SECRET_ID_INVALID', 'VAULT_LOGIN_LOCKED_OUT'],
    ['has another mount', 'VAULT_PERMISSION_DENIED', 'VAULT_LOGIN_DENIED'],
  ])('distinguishes a role that %s by a login with random ids', async (_title, probe, code) => {
    const { context, sent } = serverOf(failure('VAULT_PERMISSION_DENIED'), failure(probe));
    const error = await failureOf(appRole({ ...role, namespace: 'team' }).login(context));
    expect(error.code).toBe(code);
    expect(sent.map(({ namespace }) => namespace)).toEqual(['team', 'team']);
    expect(JSON.stringify(sent[1])).not.toContain('canary');
  });

  it.each<[string, object, RegExp]>([
    ['an empty namespace', { namespace: '' }, /namespace/],
    ['a secretId that is undefined', { secretId: undefined }, /secretId/],
  ])('refuses %s', (_title, options, problem) => {
    expect(appRole({ ...role, ...options }).problems.join()).toMatch(problem);
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
    const { context } = serverOf({ data });
    expect(await token('canary-given').login(context)).toMatchObject(expected);
  });

  it.each([{ ttl: -1 }, { ttl: 9, num_uses: 'many' }, {}])(
    'fails if the look-up answers %o',
    async (data) => {
      const error = await failureOf(token('canary-given').login(serverOf({ data }).context));
      expect(error.code).toBe('VAULT_RESPONSE_INVALID');
    },
  );

  it('watches a file, and nothing else', () => {
    expect('version' in token(fromFile('/run/token'))).toBe(true);
    expect('version' in token('canary-given')).toBe(false);
  });
});
