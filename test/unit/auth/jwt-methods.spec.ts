import { afterEach, describe, expect, it } from 'vitest';
import type { AuthMethod } from '../../../lib/auth/auth-method.js';
import { describeClaims, claimsOf } from '../../../lib/auth/jwt-claims.js';
import { jwt } from '../../../lib/auth/jwt.js';
import { kubernetes } from '../../../lib/auth/kubernetes.js';
import { VaultError } from '../../../lib/errors/vault-error.js';
import { Secret } from '../../../lib/secret/secret.js';
import { SimulatedVault, VirtualClock } from '../../../lib/testing/index.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';
import { newIssuer, serviceAccountToken } from '../../support/jwts.js';
import { closeConnections, connect } from '../../support/connect.js';

afterEach(closeConnections);

const SECONDS = Math.floor(Date.UTC(2026, 0, 1) / 1_000);
const ISSUER = newIssuer();
const VALID = { sub: 'job', aud: 'vault', iat: SECONDS, nbf: SECONDS, exp: SECONDS + 3_600 };

/** Logs in at a simulated server with a JWT method. */
function serverOf(dialect: 'openbao' | 'vault' = 'openbao') {
  const clock = new VirtualClock({ wall: SECONDS * 1_000 });
  const vault = new SimulatedVault({ clock, dialect });
  const login = (auth: AuthMethod) => {
    const { connection } = connect({ address: 'http://vault.test', auth }, clock, vault.transport());
    return clock.until(connection.login());
  };
  return { clock, vault, login };
}

describe.each(['openbao', 'vault'] as const)('a JWT at a simulated %s', (dialect) => {
  it.each<[string, object, string, RegExp]>([
    ['not yet valid', { nbf: SECONDS + 3_600 }, 'VAULT_LOGIN_INPUT_INVALID', /Synchronise the clocks/],
    ['issued in the future', { iat: SECONDS + 3_600 }, 'VAULT_LOGIN_INPUT_INVALID', /Synchronise the clocks/],
    [
      'with exp alone',
      { nbf: undefined, iat: undefined },
      'VAULT_LOGIN_INPUT_INVALID',
      /`exp` alone.*not yet valid/,
    ],
    [
      'without any time',
      { nbf: undefined, iat: undefined, exp: undefined },
      'VAULT_LOGIN_INPUT_INVALID',
      /seconds/,
    ],
    ['for another audience', { aud: ['other'] }, 'VAULT_LOGIN_INPUT_INVALID', /bound_audiences.*aud other/],
    ['without the user claim', { sub: undefined }, 'VAULT_LOGIN_DENIED', /user_claim/],
    ['of another branch', { ref: 'feature' }, 'VAULT_LOGIN_DENIED', /bound_claims/],
  ])('%s: code and hint', async (_, claims, code, hint) => {
    const { vault, login } = serverOf(dialect);
    const role = vault.jwtRole('ci', { boundClaims: { ref: 'main' } });
    const error = await failureOf(login(jwt({ role: 'ci', jwt: role.jwt({ ref: 'main', ...claims }) })));
    expect(error).toMatchObject({ code, status: 400 });
    expect(error.hint).toMatch(hint);
  });

  it.each<[string, (vault: SimulatedVault) => Promise<unknown>, string, RegExp]>([
    [
      'signed with a key that the server does not know',
      async () => undefined,
      'VAULT_LOGIN_INPUT_INVALID',
      /keys at/,
    ],
    [
      'for a method without a configuration',
      (vault) => api(vault, 'sys/auth/other', { type: 'jwt' }),
      'VAULT_LOGIN_DENIED',
      /auth\/other\/config/,
    ],
  ])('%s: code and hint', async (_, change, code, hint) => {
    const { vault, login } = serverOf(dialect);
    vault.jwtRole('ci');
    await change(vault);
    const mountPath = code === 'VAULT_LOGIN_DENIED' ? 'other' : 'jwt';
    const error = await failureOf(login(jwt({ role: 'ci', jwt: ISSUER.sign(VALID), mountPath })));
    expect(error).toMatchObject({ code });
    expect(error.hint).toMatch(hint);
  });

  it('logs in without a role, where the method has a default one', async () => {
    const { vault, login } = serverOf(dialect);
    const role = vault.jwtRole('ci');
    const missing = await failureOf(login(jwt({ jwt: role.jwt() })));
    expect(missing.hint).toMatch(/Give `role` to jwt, or set default_role/);
    await api(vault, 'auth/jwt/config', { jwt_validation_pubkeys: [ISSUER.pem], default_role: 'ci' });
    await login(jwt({ jwt: ISSUER.sign({ ...VALID, sub: 'another' }) }));
  });

  it('RS256 and ES256 are verified, other algorithms are not', async () => {
    const { vault, login } = serverOf(dialect);
    vault.jwtRole('ci');
    const rsa = newIssuer('rsa');
    await api(vault, 'auth/jwt/config', { jwt_validation_pubkeys: [ISSUER.pem, rsa.pem] });
    for (const issuer of [ISSUER, rsa]) await login(jwt({ role: 'ci', jwt: issuer.sign(VALID) }));
    const none = ISSUER.sign(VALID).replace(/^[^.]*/, Buffer.from('{"alg":"none"}').toString('base64url'));
    expect(await failureOf(login(jwt({ role: 'ci', jwt: none })))).toMatchObject({
      code: 'VAULT_LOGIN_INPUT_INVALID',
    });
  });

  it.each(['null', '5'])('a header that is %s is refused', async (header) => {
    const { vault, login } = serverOf(dialect);
    const role = vault.jwtRole('ci');
    const made = role.jwt().replace(/^[^.]*/, Buffer.from(header).toString('base64url'));
    const error = await failureOf(login(jwt({ role: 'ci', jwt: made })));
    expect(error.code).toBe('VAULT_LOGIN_INPUT_INVALID');
  });
});

describe.each(['openbao', 'vault'] as const)('a service account at a simulated %s', (dialect) => {
  it.each<[string, object, string, RegExp]>([
    [
      'another namespace',
      { bound_service_account_namespaces: 'shop' },
      'VAULT_LOGIN_DENIED',
      /bound_service_account_names/,
    ],
    [
      'another account',
      { bound_service_account_names: 'other' },
      'VAULT_LOGIN_DENIED',
      /namespace default; service account app/,
    ],
    [
      'another audience',
      { audience: 'other' },
      'VAULT_LOGIN_INPUT_INVALID',
      /`audience` of the projected volume.*aud vault/,
    ],
    ['another network', { token_bound_cidrs: '10.0.0.0/8' }, 'VAULT_LOGIN_DENIED', /token_bound_cidrs/],
  ])('a role for %s: code and hint', async (_, fields, code, hint) => {
    const { vault, login } = serverOf(dialect);
    const role = vault.kubernetesRole('app', { audience: 'vault' });
    await api(vault, 'auth/kubernetes/role/app', fields);
    const token = role.serviceAccountToken();
    const error = await failureOf(login(kubernetes({ role: 'app', jwt: token })));
    expect(error).toMatchObject({ code, status: 403 });
    expect(error.hint).toMatch(hint);
    expectNoLeak(error, token.split('.'));
  });

  it('a token that the server finds not yet valid: the clocks', async () => {
    const { vault, login, clock } = serverOf(dialect);
    vault.kubernetesRole('app');
    const token = serviceAccountToken({ now: clock.wall() + 600_000 });
    const error = await failureOf(login(kubernetes({ role: 'app', jwt: token })));
    expect(error).toMatchObject({ code: 'VAULT_LOGIN_INPUT_INVALID' });
    expect(error.hint).toMatch(/Synchronise the clocks/);
  });

  it('a method that is not enabled: denied, with the mount among the causes', async () => {
    const { login, clock } = serverOf(dialect);
    const token = serviceAccountToken({ now: clock.wall() });
    const error = await failureOf(login(kubernetes({ role: 'app', jwt: token, mountPath: 'cluster-2' })));
    expect(error).toMatchObject({ code: 'VAULT_LOGIN_DENIED', path: 'auth/cluster-2/login' });
    expect(error.hint).toMatch(/not enabled at `mountPath`/);
  });
});

it('a token is sent until the leeway of the servers has passed, and reported from then on', async () => {
  const { vault, login, clock } = serverOf();
  const role = vault.jwtRole('ci');
  const token = role.jwt();
  await clock.advance(3_600_000 + 59_000);
  await login(jwt({ role: 'ci', jwt: token }));
  await clock.advance(2_000);
  vault.clearHistory();
  expect((await failureOf(login(jwt({ role: 'ci', jwt: token })))).message).toMatch(/was not sent/);
  expect(vault.history).toEqual([]);
});

it.each(['a value without parts', 'a.b.c', `a.${Buffer.from('[1]').toString('base64url')}.c`])(
  '%j is no JWT: reported, and neither sent nor shown',
  async (value) => {
    const { vault, login } = serverOf();
    for (const method of [jwt({ jwt: value }), kubernetes({ role: 'app', jwt: value })]) {
      const error = await failureOf(login(method));
      expect(error).toMatchObject({ code: 'VAULT_LOGIN_INPUT_INVALID' });
      expect(error.message).toMatch(/is not a JWT/);
      expect(error.message).not.toContain(value);
    }
    expect(vault.history).toEqual([]);
  },
);

it('a hint shows odd claims by their type, long ones shortened, in one line', () => {
  const long = 'x'.repeat(300);
  const jwtOf = (claims: object) => new Secret(ISSUER.sign(claims as Record<string, unknown>));
  const claims = claimsOf(jwtOf({ sub: { a: 1 }, iss: `${long}\nforged`, exp: 'soon', aud: [1, 'two'] }));
  const text = describeClaims(claims!);
  expect(text).toBe(` Its claims are: iss ${'x'.repeat(200)}…; sub object; aud two; exp no time.`);
  expect(describeClaims({})).toBe(' Its claims are: none of the usual ones.');
});

it.each<[AuthMethod, RegExp]>([
  [kubernetes({ role: '' }), /needs a `role`/],
  [
    kubernetes({ role: 'app', jwt: undefined } as never),
    /`auth: kubernetes` has a `jwt` that is undefined: leave it out for the default/,
  ],
  [kubernetes({ role: 'app', audience: '' }), /`audience` that is empty or not a string/],
  [kubernetes({ role: 'app', tokenPath: '/x' } as never), /tokenPath/],
  [kubernetes(undefined as never), /needs a `role`/],
  [jwt({ role: 'ci' } as never), /needs a `jwt`/],
  [jwt({ role: ' ', jwt: 'x' }), /`role` that is empty or not a string/],
  [jwt({ jwt: 'x', mountPath: 'a//b' }), /`mountPath` that is not a path/],
])('invalid options are problems of the start', ({ problems }, expected) => {
  expect((problems ?? []).join('\n')).toMatch(expected);
});

it('kubernetes reads the file of the pod by default', async () => {
  const { login } = serverOf();
  const error = await failureOf(login(kubernetes({ role: 'app' })));
  expect(error).toBeInstanceOf(VaultError);
  expect(error.message).toMatch(
    /file \/var\/run\/secrets\/kubernetes\.io\/serviceaccount\/token cannot be read/,
  );
});

async function api(vault: SimulatedVault, path: string, body: object): Promise<void> {
  const answer = await vault.transport().send({
    method: 'POST',
    path: `/v1/${path}`,
    headers: { 'x-vault-token': 'root' },
    body: JSON.stringify(body),
    timeout: 1_000,
  });
  expect(answer.statusCode).toBeLessThan(300);
}
