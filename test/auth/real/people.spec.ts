import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { loginRequest, userpass, type SecretSource } from '../../../lib/index.js';
import { closeConnections, connect } from '../../support/connect.js';
import { until } from '../../support/driver-load.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';
import { eventually } from '../../support/leased-postgres.js';
import { describeReal, realServer } from '../../support/real-servers.js';
import { startOpenBao, type OpenBaoServer } from '../../support/servers.mjs';
import { keyOf, totp } from '../support/totp.js';

const PASSWORD = 'canary-password';
/** Seconds of a code. */
const PERIOD = 5;

describeReal(`userpass, on ${realServer.name}`, () => {
  let bao: OpenBaoServer;
  const api = async (method: string, path: string, body?: unknown, token?: string) => {
    const answer = await bao.api(method, path, body, token === undefined ? {} : { token });
    if (answer.status > 299) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const user = (name: string, fields: object = {}) =>
    api('POST', `auth/userpass/users/${name}`, {
      password: PASSWORD,
      token_ttl: '4s',
      token_max_ttl: '1h',
      ...fields,
    });
  const logIn = (username: string, more: { totp?: SecretSource } = {}) =>
    connect({ address: bao.address, auth: userpass({ username, password: () => PASSWORD, ...more }) });

  beforeAll(async () => {
    bao = await startOpenBao();
    await api('POST', 'sys/auth/userpass', { type: 'userpass' });
    await api('POST', 'sys/auth/guarded', { type: 'userpass' });
  });
  afterEach(closeConnections);
  afterAll(() => bao?.stop());

  it('a user is deleted: the renewal that extends nothing is none, and the login after it says why', async () => {
    await user('deleted');
    const { connection, bus } = logIn('deleted');
    await connection.login();
    await api('DELETE', 'auth/userpass/users/deleted');
    await until(() => bus.recent.some(({ type }) => type === 'login-failed'));
    expect(bus.recent.map(({ type }) => type)).not.toContain('token-renewed');
    expect(connection.status.session).toMatchObject({ state: 'degraded', sequence: 1 });
    expect(connection.status.session.error?.code).toBe('VAULT_LOGIN_INPUT_INVALID');
    expectNoLeak([bus.recent, connection.status], [PASSWORD]);
  });

  it('policies change: a login follows, and the token never expires', async () => {
    await user('changed', { token_policies: ['one'] });
    const { connection, bus } = logIn('changed');
    await connection.login();
    await user('changed', { token_policies: ['two'] });
    await until(() => connection.status.session.sequence === 2);
    expect(bus.recent).toContainEqual(expect.objectContaining({ type: 'login', reason: 'not-renewable' }));
    expect(connection.status.session.state).toBe('valid');
  });

  it('a user is locked out: the right password is refused as well, and the hint says so', async () => {
    await user('locked');
    for (let times = 0; times < 6; times++)
      await bao.api('POST', 'auth/userpass/login/locked', { password: 'x' }, { token: '' });
    const error = await failureOf(logIn('locked').connection.login());
    expect(error.code).toBe('VAULT_LOGIN_LOCKED_OUT');
    expect(error.hint).toMatch(/refuses the right password as well/);
  });

  it('is not enabled at the mount', async () => {
    const auth = userpass({ username: 'bob', password: PASSWORD, mountPath: 'elsewhere' });
    const error = await failureOf(connect({ address: bao.address, auth }).connection.login());
    expect(error.code).toBe('VAULT_LOGIN_DENIED');
  });

  it('loginRequest logs in by the same path', async () => {
    await user('plain');
    const auth = loginRequest({ path: 'auth/userpass/login/plain', body: { password: () => PASSWORD } });
    const { connection } = connect({ address: bao.address, auth });
    await connection.login();
    expect(connection.status.session.state).toBe('valid');
  });

  it('a login enforcement asks for a TOTP code: it serves once, and a later login has another', async () => {
    await api('POST', 'auth/guarded/users/bob', { password: PASSWORD, token_ttl: '1h' });
    const first = await api('POST', 'auth/guarded/login/bob', { password: PASSWORD }, '');
    const entity = first.auth.entity_id as string;
    const method = { issuer: 'tests', period: PERIOD, algorithm: 'SHA1', digits: 6, skew: 0 };
    const { method_id } = (await api('POST', 'identity/mfa/method/totp', method)).data;
    const generated = await api('POST', 'identity/mfa/method/totp/admin-generate', {
      method_id,
      entity_id: entity,
    });
    const key = keyOf(generated.data.url as string);
    const mounts = (await api('GET', 'sys/auth')).data as Record<string, { accessor: string }>;
    await api('POST', 'identity/mfa/login-enforcement/payments', {
      mfa_method_ids: [method_id],
      auth_method_accessors: [mounts['guarded/']?.accessor],
    });

    const guarded = (code?: SecretSource) =>
      connect({
        address: bao.address,
        auth: userpass({
          username: 'bob',
          password: PASSWORD,
          mountPath: 'guarded',
          ...(code !== undefined && { totp: code }),
        }),
      });
    const needed = await failureOf(guarded().connection.login());
    expect(needed.code).toBe('VAULT_LOGIN_MFA_REQUIRED');
    expect(needed.message).toMatch(/payments \(totp\)/);
    const right = () => totp(key, PERIOD);
    const wrong = ['000000', '000001', '000002'].filter((code) => code !== right());
    const guessing = guarded(() => wrong.shift() ?? '').connection;
    // A used code is answered like a wrong one, so the first one may be another process's.
    expect(await failureOf(guessing.login())).toMatchObject({ code: 'VAULT_LOGIN_PROVIDER_UNAVAILABLE' });
    await eventually(async () =>
      expect(await failureOf(guessing.login())).toMatchObject({
        code: 'VAULT_LOGIN_INPUT_INVALID',
        status: 403,
      }),
    );

    const sent: string[] = [];
    const { connection, bus } = guarded(() => {
      sent.push(right());
      return sent.at(-1);
    });
    await connection.login();
    const look = () => connection.client.read('auth/token/lookup-self');
    const { accessor } = (await look()).data.reveal() as { accessor: string };
    await api('POST', 'auth/token/revoke-accessor', { accessor });
    // The code of the same period is not sent again; that of the next one is.
    await until(() =>
      look().then(
        () => true,
        () => false,
      ),
    );
    expect(connection.status.session).toMatchObject({ state: 'valid', sequence: 2 });
    expect(new Set(sent).size).toBe(2);
    expectNoLeak([bus.recent, needed, wrong], [PASSWORD, key.toString('hex')]);
  });
});
