import { SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appRole } from '../../../lib/auth/app-role.js';
import type { AuthMethod } from '../../../lib/auth/auth-method.js';
import { token } from '../../../lib/auth/token.js';
import type { VaultOptions } from '../../../lib/config/options.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus } from '../../../lib/events/events.js';
import { fromWrappedToken, type SecretReader } from '../../../lib/secret/secret-source.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';
import { asker } from '../testing/support.js';

describe('a login', () => {
  let clock: VirtualClock;
  let vault: SimulatedVault;
  let connection: VaultConnection | undefined;
  const ELSEWHERE = ['10.9.0.0/16'];
  const LOOKUP = 'POST /v1/sys/wrapping/lookup';

  beforeEach(() => {
    clock = new VirtualClock();
    vault = new SimulatedVault({ clock });
    vault.databaseRole('app');
  });
  afterEach(async () => {
    if (connection) await clock.until(connection.close());
    connection = undefined;
  });

  const connect = (auth: AuthMethod, options: Partial<VaultOptions> = {}) => {
    const resolved = resolveOptions({ address: 'https://vault:8200', auth, ...options });
    return (connection = new VaultConnection(resolved, new EventBus(), clock, vault.transport()));
  };
  const login = (auth: AuthMethod, options: Partial<VaultOptions> = {}) =>
    clock.until(connect(auth, options).login());
  const requests = () => vault.history.map(({ method, path }) => `${method} ${path}`);
  const ask = (method: string, path: string, body?: unknown, ttl?: string) =>
    asker(vault)(method, path, body, ttl ? { headers: { 'X-Vault-Wrap-TTL': ttl } } : {});

  describe('with a token out of a wrapping token', () => {
    const wrapped = async (path: string, body: object = { policies: ['default'], ttl: '1h' }) => {
      const { wrap_info } = (await ask('POST', path, body, '60s')).body;
      vault.clearHistory();
      return wrap_info.token as string;
    };

    it.each(['auth/token/create', 'auth/token/create-orphan'])('of %s', async (path) => {
      await login(token(fromWrappedToken(await wrapped(path))));
      expect(requests()).toEqual([LOOKUP, 'POST /v1/sys/wrapping/unwrap', 'GET /v1/auth/token/lookup-self']);
      expect(connection?.status.session).toMatchObject({ state: 'valid', sequence: 1 });
    });

    it('of a login, if that path is given', async () => {
      const { roleId, secretId } = vault.appRole('app');
      const body = { role_id: roleId, secret_id: secretId() };
      const creationPath = 'auth/approle/login';
      await login(token(fromWrappedToken(await wrapped(creationPath, body), { creationPath })));
      expect(connection?.status.session.state).toBe('valid');
    });

    it('with other contents is refused, and not unwrapped', async () => {
      const wrapping = vault.appRole('app').wrappedSecretId();
      const error = await failureOf(login(token(fromWrappedToken(wrapping))));
      expect(error.code).toBe('VAULT_WRAPPING_PATH_MISMATCH');
      expect(error.hint).toMatch(
        /new wrapped token.*not unwrapped.*each token is made at another path on purpose.*`creationPath`/,
      );
      expect(requests()).toEqual([LOOKUP]);
      expect((await ask('POST', 'sys/wrapping/lookup', { token: wrapping })).status).toBe(200);
      expectNoLeak(error, [wrapping]);
    });
  });

  it('with a secret_id of the operator: the error names the option for it', async () => {
    vault.appRole('app');
    const path = 'auth/approle/role/app/custom-secret-id';
    const { wrap_info } = (await ask('POST', path, { secret_id: 'canary-own' }, '60s')).body;
    const { roleId } = vault.appRole('app');
    const wrapping = wrap_info.token as string;
    const error = await failureOf(login(appRole({ roleId, secretId: fromWrappedToken(wrapping) })));
    expect(error.hint).toMatch(
      /each secret_id is made at another path on purpose.*`creationPath` of `fromWrappedToken`/,
    );
    await login(appRole({ roleId, secretId: fromWrappedToken(wrapping, { creationPath: path }) }));
    expectNoLeak(error, [wrapping, 'canary-own']);
  });

  it('without a secret_id, if the role binds none', async () => {
    const { roleId } = vault.appRole('open', { bindSecretId: false, tokenBoundCidrs: ['127.0.0.1/32'] });
    await login(appRole({ roleId }));
    expect(connection?.status.session.state).toBe('valid');
  });

  it('without a secret_id, if the role binds one', async () => {
    const { roleId } = vault.appRole('app');
    const error = await failureOf(login(appRole({ roleId })));
    expect(error.code).toBe('VAULT_LOGIN_INPUT_INVALID');
    expect(error.message).toMatch(/requires a secret_id.*Give `secretId` to appRole/);
  });

  it.each<[string, object, RegExp]>([
    ['a secret_id', { cidr_list: ELSEWHERE }, /secret_id may not be used from this network.*cidr_list/],
    [
      'a secret_id of some uses',
      { cidr_list: ELSEWHERE, num_uses: 2 },
      /secret_id may not be used.*cidr_list/,
    ],
  ])('with %s that is bound to other networks', async (_what, bounds, message) => {
    const { roleId } = vault.appRole('app');
    const made = await ask('POST', 'auth/approle/role/app/secret-id', bounds);
    const secretId = made.body.data.secret_id as string;
    const error = await failureOf(login(appRole({ roleId, secretId })));
    expect(error.code).toBe('VAULT_LOGIN_DENIED');
    expect(error.message).toMatch(message);
    expectNoLeak(error, [secretId, roleId]);
  });

  it('with a role that is bound to other networks', async () => {
    const { roleId, secretId } = vault.appRole('app', { secretIdBoundCidrs: ELSEWHERE });
    const error = await failureOf(login(appRole({ roleId, secretId: secretId() })));
    expect(error.code).toBe('VAULT_LOGIN_DENIED');
    expect(error.message).toMatch(/role may not be used from this network.*secret_id_bound_cidrs/);
  });

  it.each(['openbao', 'vault'] as const)(
    'of %s makes a token that is bound to other networks',
    async (dialect) => {
      vault = new SimulatedVault({ clock, dialect });
      vault.kv().put('app', { a: '1' });
      const { roleId, secretId } = vault.appRole('app', { tokenBoundCidrs: ELSEWHERE });
      await login(appRole({ roleId, secretId: secretId() }));
      const error = await failureOf(
        clock.until(connection?.client.read('secret/data/app') as Promise<unknown>),
      );
      expect(error.code).toBe('VAULT_TOKEN_INVALID');
      expect(error.message).toMatch(/new login was refused at once.*Look at token_bound_cidrs/);
    },
  );

  it('with a given token that is bound to other networks', async () => {
    const { roleId, secretId } = vault.appRole('app', { tokenBoundCidrs: ELSEWHERE });
    const body = { role_id: roleId, secret_id: secretId() };
    const one = (await ask('POST', 'auth/approle/login', body)).body.auth.client_token as string;
    const error = await failureOf(login(token(one)));
    expect(error).toMatchObject({ code: 'VAULT_TOKEN_INVALID' });
    expect(error.hint).toContain('token_bound_cidrs');
    expectNoLeak(error, [one]);
  });

  describe('whose source does not answer', () => {
    const never = () => new Promise<never>(() => {});
    const reader: SecretReader = { description: 'the safe of the bank', read: never };
    const { roleId } = { roleId: 'role' };

    it.each<[string, () => AuthMethod, string]>([
      ['a function', () => appRole({ roleId, secretId: never }), 'secret_id (a function)'],
      ['a reader', () => appRole({ roleId, secretId: reader }), 'the safe of the bank'],
      [
        'one of a wrapping token',
        () => appRole({ roleId, secretId: fromWrappedToken(never) }),
        'response-wrapping token (a function)',
      ],
      ['that of a token', () => token(never), 'token (a function)'],
    ])('%s: the error of the start names it', async (_what, auth, source) => {
      const error = await failureOf(login(auth()));
      expect(error.code).toBe('VAULT_TIMEOUT');
      expect(error.message).toContain(`has not come within 10 s: ${source} does not answer`);
      expect(error.outcomeUnknown).toBeUndefined();
      expect(requests()).toEqual([]);
    });

    it('the error of later logins names it, too', async () => {
      const own = connect(appRole({ roleId, secretId: never }), { timeout: 1_000 });
      const error = await failureOf(clock.until(own.client.read('secret/data/app')));
      expect(error.message).toContain('has not come within 4 s: secret_id (a function) does not answer');
    });

    describe.each<[string, boolean]>([
      ['after the time limit', false],
      ['at the close, after the time limit', true],
    ])('and answers %s', (_when, closes) => {
      it('nothing is sent, and no token is left', async () => {
        const role = vault.appRole('app');
        let answer = (_secretId: string) => {};
        let secretId: () => string | Promise<string> = role.secretId;
        const own = connect(appRole({ roleId: role.roleId, secretId: () => secretId() }), { timeout: 1_000 });
        await clock.until(own.login());
        secretId = () => new Promise((resolve) => (answer = resolve));
        vault.revokeAllTokens();
        await failureOf(clock.until(own.client.read('auth/token/lookup-self')));
        vault.clearHistory();
        const closed = closes ? own.close() : undefined;
        answer(role.secretId());
        await clock.advance(0);
        if (closed) await clock.until(closed);
        expect(requests().filter((request) => request.endsWith('/login'))).toEqual([]);
        expect(vault.tokenCount).toBe(1);
      });
    });

    it('and answers at the close: nothing is sent, and no token is left', async () => {
      const role = vault.appRole('app');
      let answer = (_secretId: string) => {};
      const secretId = () => new Promise<string>((resolve) => (answer = resolve));
      const own = connect(appRole({ roleId: role.roleId, secretId }));
      const failed = failureOf(own.login());
      await clock.advance(0);
      const closed = own.close();
      await clock.advance(0);
      answer(role.secretId());
      await clock.until(closed);
      expect((await failed).code).toBe('VAULT_CLOSED');
      expect(requests()).toEqual([]);
    });

    it('the error names the network if the server does not answer a look-up of a wrapping token', async () => {
      const secretId = fromWrappedToken(vault.appRole('app').wrappedSecretId());
      vault.delay(60_000);
      const error = await failureOf(login(appRole({ roleId, secretId }), { timeout: 20_000 }));
      expect(error.message).not.toContain('does not answer');
    });
  });

  describe('in a namespace', () => {
    beforeEach(() => {
      for (const path of ['team', 'team/shop', 'other']) vault.namespace(path).kv().put('app', { a: '1' });
      vault.kv().put('app', { a: '1' });
    });
    const method = (namespace?: string) => {
      const role = (namespace && namespace !== 'root' ? vault.namespace(namespace) : vault).appRole('app', {
        policies: [],
      });
      return appRole({
        roleId: role.roleId,
        secretId: role.secretId(),
        ...(namespace !== undefined && { namespace }),
      });
    };
    const denied = async (own: string | undefined, namespace: string | undefined) => {
      await login(method(own), namespace === undefined ? {} : { namespace });
      const client = connection?.client as VaultConnection['client'];
      const error = await failureOf(clock.until(client.read('secret/data/app')));
      expect(error.code).toBe('VAULT_PERMISSION_DENIED');
      return error.message;
    };

    it("equal to the connection's: the policy is in it", async () => {
      expect(await denied('team', 'team')).toMatch(
        /read at secret\/data\/app in namespace "team"\..*role, in namespace "team": path "secret\/data\/app"/,
      );
    });

    it('above that of the connection: the path of the policy begins there', async () => {
      expect(await denied('team', 'team/shop')).toMatch(
        /in namespace "team": path "shop\/secret\/data\/app"/,
      );
      expect(await denied('root', 'team')).toMatch(/in the root namespace: path "team\/secret\/data\/app"/);
    });

    it('that does not contain that of the connection: no policy helps', async () => {
      expect(await denied('team', undefined)).toMatch(
        /token of namespace "team" has no rights at secret\/data\/app in the root namespace.*set `namespace`/,
      );
      expect(await denied('team', 'other')).toMatch(/no rights at .* in namespace "other"/);
    });

    it('without any: the hint says that there may be one', async () => {
      expect(await denied(undefined, undefined)).toMatch(
        /path "secret\/data\/app".*`namespace` of the connection/,
      );
    });

    it('without the role: the error names the namespace and the mount', async () => {
      vault.namespace('other').appRole('app', { mount: 'machines' });
      const { roleId, secretId } = vault.namespace('team').appRole('app', { mount: 'machines' });
      const auth = appRole({ roleId, secretId: secretId(), mountPath: 'machines', namespace: 'other' });
      const error = await failureOf(login(auth));
      expect(error.code).toBe('VAULT_LOGIN_INPUT_INVALID');
      expect(error.hint).toMatch(/auth\/machines\/role\/<role>\/secret-id.*namespace "other".*`namespace`/);
      expectNoLeak(error, [roleId]);
    });
  });
});
