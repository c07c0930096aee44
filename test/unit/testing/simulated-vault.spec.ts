import { SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Ask, asker } from './support.js';

describe('SimulatedVault through time', () => {
  let clock: VirtualClock;
  let vault: SimulatedVault;
  let ask: Ask;

  beforeEach(() => {
    clock = new VirtualClock({ wall: Date.UTC(2026, 0, 1) });
    vault = new SimulatedVault({ clock });
    ask = asker(vault);
    vault.databaseRole('app', { defaultTtl: '30s', maxTtl: '60s' });
    vault.databaseRole('long', { defaultTtl: '1h', maxTtl: '24h' });
  });

  const seconds = (count: number) => clock.advance(count * 1000);
  const login = async (role: Parameters<SimulatedVault['appRole']>[1] = {}) => {
    const { roleId, secretId } = vault.appRole('app', role);
    const body = { role_id: roleId, secret_id: secretId() };
    return (await ask('POST', 'auth/approle/login', body, { token: '' })).body.auth.client_token as string;
  };
  const issue = async (token: string, role = 'app') => {
    const { status, body } = await ask('GET', `database/creds/${role}`, undefined, { token });
    expect(status).toBe(200);
    return { id: body.lease_id, ttl: body.lease_duration, ...body.data } as {
      id: string;
      ttl: number;
      username: string;
      password: string;
    };
  };
  const renew = async (token: string, id: string, increment?: unknown) => {
    const body = { lease_id: id, ...(increment !== undefined && { increment }) };
    return ask('POST', 'sys/leases/renew', body, { token });
  };
  const alive = async (token: string) =>
    (await ask('GET', 'auth/token/lookup-self', undefined, { token })).status;

  describe('tokens', () => {
    it('expire at their TTL, to the millisecond', async () => {
      const token = await login({ tokenTtl: 60 });
      await clock.advance(59_999);
      expect(await alive(token)).toBe(200);
      await clock.advance(1);
      expect(await alive(token)).toBe(403);
    });

    it('are renewed from now, to a shorter TTL too, and up to the max TTL with a warning', async () => {
      const token = await login({ tokenTtl: '60s', tokenMaxTtl: '2m' });
      await seconds(50);
      const renewed = (increment?: unknown) => ask('POST', 'auth/token/renew-self', { increment }, { token });
      expect((await renewed()).body.auth.lease_duration).toBe(60);
      expect((await renewed('2s')).body.auth.lease_duration).toBe(2);
      const capped = (await renewed('9h')).body;
      expect(capped.auth.lease_duration).toBe(70);
      expect(capped.warnings).toEqual([
        'TTL of "9h" exceeded the effective max_ttl of "1m10s"; TTL value is capped accordingly',
      ]);
      await clock.advance(69_999);
      expect(await alive(token)).toBe(200);
      await clock.advance(1);
      expect(await alive(token)).toBe(403);
    });

    it('with a period are renewed without limit, whatever the increment', async () => {
      const token = vault.token({ period: '10s' });
      for (let round = 0; round < 50; round++) {
        await seconds(9);
        const { body } = await ask('POST', 'auth/token/renew-self', { increment: 1000 }, { token });
        expect(body.auth.lease_duration).toBe(10);
      }
      await seconds(10);
      expect(await alive(token)).toBe(403);
    });

    it('with counted uses end after the last use, which creates no lease', async () => {
      const token = await login({ tokenNumUses: 3 });
      const { username } = await issue(token);
      expect((await ask('GET', 'secret/data/none', undefined, { token })).status).toBe(404);
      expect(vault.liveUsers).toEqual([username]);
      const last = await ask('GET', 'database/creds/app', undefined, { token });
      expect([last.status, last.body.errors[0]]).toEqual([400, expect.stringMatching(/one use left/)]);
      expect(vault.liveUsers).toEqual([]);
      expect(await alive(token)).toBe(403);
    });

    it('end with their child tokens and all leases', async () => {
      const parent = vault.token();
      const made = await ask('POST', 'auth/token/create', { ttl: '1h' }, { token: parent });
      const child = made.body.auth.client_token as string;
      const orphan = (
        await ask('POST', 'auth/token/create', { ttl: '1h', no_parent: true }, { token: parent })
      ).body.auth.client_token as string;
      await issue(child);
      const { username } = await issue(orphan);
      expect(vault.revokeToken(parent)).toBe(true);
      expect([await alive(child), await alive(orphan)]).toEqual([403, 200]);
      expect(vault.liveUsers).toEqual([username]);
    });

    it('are not affected by the wall clock and the sleep of the client machine', async () => {
      const token = await login({ tokenTtl: 60 });
      clock.stepWall(3_600_000);
      expect(await alive(token)).toBe(200);
      await clock.suspend(60_000);
      expect([clock.monotonic(), await alive(token)]).toEqual([0, 403]);
    });
  });

  describe('leases', () => {
    it('end with the token that created them, whatever TTL they report', async () => {
      const token = await login({ tokenTtl: 8, tokenMaxTtl: 12 });
      const other = vault.token();
      const { id, ttl, username, password } = await issue(token, 'long');
      expect(ttl).toBe(3600);
      await seconds(7);
      expect((await renew(other, id)).status).toBe(200);
      expect(vault.isValid(username, password)).toBe(true);
      await seconds(1);
      expect(vault.isValid(username, password)).toBe(false);
      expect((await renew(other, id)).body).toEqual({ errors: ['lease not found'] });
    });

    it('of batch tokens are capped at the time the token has left', async () => {
      const token = await login({ tokenType: 'batch', tokenTtl: 15 });
      expect((await issue(token)).ttl).toBe(15);
      await seconds(5);
      const { id, ttl } = await issue(token);
      expect(ttl).toBe(10);
      expect((await renew(token, id)).body.lease_duration).toBe(10);
      await seconds(10);
      expect([vault.liveUsers, await alive(token)]).toEqual([[], 403]);
    });

    it('are renewed from now, by the default of the role, up to its max TTL', async () => {
      const token = await login();
      const { id, username, password } = await issue(token);
      await seconds(20);
      expect((await renew(token, id)).body.lease_duration).toBe(30);
      expect((await renew(token, id, 5)).body.lease_duration).toBe(5);
      const capped = (await renew(token, id, '1h')).body;
      expect([capped.lease_duration, capped.warnings]).toEqual([
        40,
        ['TTL of "1h" exceeded the effective max_ttl of "40s"; TTL value is capped accordingly'],
      ]);
      await clock.advance(39_999);
      expect(vault.isValid(username, password)).toBe(true);
      await clock.advance(1);
      expect(vault.isValid(username, password)).toBe(false);
    });

    it('are revoked by id, by path, and by an operator', async () => {
      const token = await login();
      const [a, b, c] = [await issue(token), await issue(token), await issue(token, 'long')];
      expect(vault.liveLeases.map(({ path, left }) => [path, left])).toEqual([
        ['database/creds/app', 30_000],
        ['database/creds/app', 30_000],
        ['database/creds/long', 3_600_000],
      ]);
      await ask('POST', 'sys/leases/revoke', { lease_id: a.id });
      expect(vault.liveUsers).toEqual([b.username, c.username]);
      expect(vault.revokeLease('database/creds/long')).toBe(1);
      expect(vault.revokeLease(b.id)).toBe(1);
      expect([vault.liveUsers, vault.leaseCount, vault.revokeLease('x')]).toEqual([[], 0, 0]);
    });

    it('outlive a seal; leases that were due meanwhile end after it', async () => {
      const token = await login();
      const [short, long] = [await issue(token), await issue(token, 'long')];
      vault.seal();
      expect((await renew(token, long.id)).body).toEqual({ errors: ['Vault is sealed'] });
      await seconds(45);
      expect(vault.liveUsers).toContain(short.username);
      expect(vault.isValid(short.username, short.password)).toBe(false);
      vault.unseal();
      expect(vault.liveUsers).toEqual([long.username]);
      expect((await renew(token, long.id)).status).toBe(200);
    });

    it('create one user per read, each with its own password', async () => {
      const token = await login();
      const users = await Promise.all(Array.from({ length: 5 }, () => issue(token)));
      expect(new Set(users.map(({ password }) => password)).size).toBe(5);
      expect(vault.liveUsers).toHaveLength(5);
      expect(vault.isValid(users[0]!.username, users[1]!.password)).toBe(false);
    });
  });

  describe('AppRole', () => {
    it('counts the uses of a secret_id, and ends it at its TTL', async () => {
      const { roleId, secretId } = vault.appRole('app', { secretIdNumUses: 2, secretIdTtl: '10m' });
      const [counted, timed] = [secretId(), secretId()];
      const status = async (secret_id: string) =>
        (await ask('POST', 'auth/approle/login', { role_id: roleId, secret_id }, { token: '' })).status;
      expect([await status(counted), await status(counted), await status(counted)]).toEqual([200, 200, 400]);
      await seconds(600);
      expect(await status(timed)).toBe(400);
    });

    it('locks a role out after five bad logins in a row, for 15 minutes', async () => {
      const { roleId, secretId } = vault.appRole('app');
      const secret = secretId();
      const status = async (secret_id: string) =>
        (await ask('POST', 'auth/approle/login', { role_id: roleId, secret_id }, { token: '' })).status;
      for (let bad = 0; bad < 4; bad++) expect(await status('bad')).toBe(400);
      expect(await status(secret)).toBe(200);
      for (let bad = 0; bad < 5; bad++) expect(await status('bad')).toBe(400);
      expect(await status(secret)).toBe(403);
      await seconds(900);
      expect(await status(secret)).toBe(200);
    });

    it('refuses addresses outside of the bound networks', async () => {
      const { roleId, secretId } = vault.appRole('app', { secretIdBoundCidrs: ['10.1.0.0/16'] });
      const body = { role_id: roleId, secret_id: secretId() };
      const inside = asker(vault, vault.transport({ source: '10.1.2.3' }));
      expect((await ask('POST', 'auth/approle/login', body)).status).toBe(400);
      expect((await inside('POST', 'auth/approle/login', body)).status).toBe(200);
    });

    it('delivers a wrapped secret_id once, until the wrapping expires', async () => {
      const { wrappedSecretId } = vault.appRole('app');
      const [token, late] = [wrappedSecretId(), wrappedSecretId('2m')];
      const lookUp = await ask('POST', 'sys/wrapping/lookup', { token }, { token: '' });
      expect(lookUp.body.data.creation_path).toBe('auth/approle/role/app/secret-id');
      const unwrapped = await ask('POST', 'sys/wrapping/unwrap', undefined, { token });
      expect(unwrapped.body.data.secret_id).toMatch(/^[0-9a-f-]{36}$/);
      expect((await ask('POST', 'sys/wrapping/unwrap', undefined, { token })).status).toBe(400);
      await seconds(120);
      expect((await ask('POST', 'sys/wrapping/lookup', { token: late }, { token: '' })).status).not.toBe(200);
    });

    it('once deleted, keeps its tokens valid but not renewable', async () => {
      const role = vault.appRole('app', { tokenTtl: 60 });
      const body = { role_id: role.roleId, secret_id: role.secretId() };
      const token = (await ask('POST', 'auth/approle/login', body)).body.auth.client_token as string;
      role.delete();
      expect((await ask('POST', 'auth/token/renew-self', {}, { token })).status).toBe(500);
      expect(await alive(token)).toBe(200);
    });
  });

  it('rotates static roles at its next check, so that their TTL is 0 for a while', async () => {
    await vault.staticRole('fixed', { username: 'app', rotationPeriod: '8s' });
    const read = async () => (await ask('GET', 'database/static-creds/fixed')).body.data;
    const first = await read();
    expect([first.username, first.ttl, first.rotation_period]).toEqual(['app', 8, 8]);
    await seconds(9);
    const due = await read();
    expect([due.ttl, due.password === first.password]).toEqual([0, true]);
    await seconds(1);
    const second = await read();
    expect([second.ttl, second.password === first.password]).toEqual([8, false]);
    expect([vault.isValid('app', first.password), vault.isValid('app', second.password)]).toEqual([
      false,
      true,
    ]);
    await clock.advance(86_400_000);
    expect((await read()).ttl).toBeLessThanOrEqual(8);
  });

  it('deletes versions of KV secrets after their time, and keeps ten of them', async () => {
    await ask('POST', 'secret/metadata/k', { delete_version_after: '1h' });
    for (let version = 1; version <= 12; version++) vault.kv().put('k', { version });
    const read = async (query = '') => ask('GET', `secret/data/k${query}`);
    expect((await read()).body.data.data).toEqual({ version: 12 });
    expect([(await read('?version=2')).status, (await read('?version=3')).status]).toEqual([404, 200]);
    await seconds(3600);
    const { status, body } = await read();
    expect([status, body.data.data]).toEqual([404, null]);
  });

  it('separates namespaces', async () => {
    const team = vault.namespace('team/sub');
    team.kv('kv', 1).put('x', { where: 'team' });
    vault.kv('kv', 1).put('x', { where: 'root' });
    const headers = { 'X-Vault-Namespace': 'team/sub' };
    const where = async (token: string, own = headers) =>
      (await ask('GET', 'kv/x', undefined, { token, headers: own })).body.data?.where;
    const inside = team.token();
    expect([await where('root'), await where(inside)]).toEqual(['team', 'team']);
    expect([
      await where(inside, { 'X-Vault-Namespace': '' }),
      await where(vault.token({ policies: ['default'] })),
    ]).toEqual([undefined, undefined]);
    team.databaseRole('app', { defaultTtl: 60 });
    const { body } = await ask('GET', 'database/creds/app', undefined, { token: inside, headers });
    expect(body.lease_id).toMatch(/^database\/creds\/app\/\w{24}\.\w{6}$/);
  });

  it('limits rates, with Retry-After if enabled', async () => {
    const end = vault.rateLimit({ rate: 2, interval: 10, path: 'secret', retryAfter: true });
    const read = () => ask('GET', 'secret/data/x');
    expect([(await read()).status, (await read()).status]).toEqual([404, 404]);
    await seconds(3);
    const refused = await read();
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '7']);
    expect((await ask('GET', 'sys/health')).status).toBe(200);
    await seconds(7);
    expect((await read()).status).toBe(404);
    vault.rateLimit({ rate: 0 });
    expect((await read()).headers['retry-after']).toBeUndefined();
    end();
    expect((await read()).status).toBe(404);
  });

  it('is a standby that redirects, or does not know the leader', async () => {
    vault.standby(true, { leader: 'http://10.0.0.1:8200' });
    await expect(ask('GET', 'secret/data/x')).rejects.toMatchObject({ origin: 'http://10.0.0.1:8200' });
    const address = await vault.listen();
    const redirected = await fetch(`${address}/v1/secret/data/x?version=1`, { redirect: 'manual' });
    expect([redirected.status, redirected.headers.get('location')]).toEqual([
      307,
      'http://10.0.0.1:8200/v1/secret/data/x?version=1',
    ]);
    await vault.close();
    expect((await ask('GET', 'sys/health')).status).toBe(429);
    vault.standby();
    expect((await ask('GET', 'secret/data/x')).status).toBe(500);
    vault.standby(false);
    expect((await ask('GET', 'secret/data/x')).status).toBe(404);
  });

  it('runs the SQL of roles, and retries if the database fails', async () => {
    const ran: string[] = [];
    let broken = false;
    const withSql = new SimulatedVault({
      clock,
      sql: async (statement) => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (broken) throw new Error('connection refused');
        ran.push(statement);
      },
    });
    const askSql = asker(withSql);
    withSql.databaseRole('app', {
      defaultTtl: 30,
      maxTtl: 60,
      creationStatements: [`CREATE ROLE "{{name}}" PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`],
      revocationStatements: ['DROP ROLE "{{name}}"'],
    });
    const create = async () => (await askSql('GET', 'database/creds/app')).body;
    const { lease_id, data } = await create();
    expect(ran).toEqual([
      `CREATE ROLE "${data.username}" PASSWORD '${data.password}' VALID UNTIL '2026-01-01 00:00:30+0000'`,
    ]);
    broken = true;
    expect((await create()).errors[0]).toMatch(/failed to execute query: connection refused/);
    const renewal = await askSql('POST', 'sys/leases/renew', { lease_id });
    expect([renewal.status, renewal.body.errors[0]]).toEqual([
      400,
      expect.stringMatching(/connection refused/),
    ]);
    expect((await askSql('POST', 'sys/leases/revoke', { lease_id })).status).toBe(400);
    expect(withSql.liveUsers).toEqual([data.username]);
    // The server tries at the deadline and again 10 s later; until then the user exists.
    await clock.advance(31_000);
    expect(withSql.liveLeases).toEqual([]);
    expect(withSql.liveUsers).toEqual([data.username]);
    broken = false;
    await clock.advance(9_000);
    expect(ran.at(-1)).toBe(`DROP ROLE "${data.username}"`);
    expect(withSql.liveUsers).toEqual([]);
    await withSql.close();
    expect(clock.pending).toBe(0);
  });

  it('with an unreachable database it issues and renews nothing, and users outlive their token', async () => {
    const token = vault.token();
    const { id, username, password } = await issue(token, 'long');
    vault.databaseDown();
    expect((await ask('GET', 'database/creds/app')).status).toBe(500);
    const renewal = await renew(token, id);
    expect([renewal.status, renewal.body.errors[0]]).toEqual([
      400,
      expect.stringMatching(/^failed to renew entry: .*connection refused/s),
    ]);
    expect((await ask('POST', 'auth/token/revoke-self', {}, { token })).status).toBe(204);
    await seconds(5);
    expect([vault.leaseCount, vault.isValid(username, password)]).toEqual([0, true]);
    vault.databaseDown(false);
    await seconds(5);
    expect(vault.liveUsers).toEqual([]);
  });

  it('answers in the dialect of Vault on demand', async () => {
    const other = new SimulatedVault({ clock, dialect: 'vault' });
    const askVault = asker(other);
    const unknown = await askVault('GET', 'secret/data/x', undefined, { token: 'hvs.unknown' });
    expect(unknown.body.errors).toEqual(['2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n']);
    expect((await askVault('GET', 'sys/health')).body).toMatchObject({
      version: '1.21.4',
      enterprise: false,
    });
    other.kv().put('x', { a: 1 });
    const headers = { 'X-Vault-Namespace': 'ghost' };
    expect((await askVault('GET', 'secret/data/x', undefined, { headers })).body.mount_type).toBe('kv');
    expect(other.token()).toMatch(/^hvs\.\w{90}$/);
    const { body } = await askVault('POST', 'auth/approle/login', {}, { token: '' });
    expect(body).toEqual({ errors: ['permission denied'] });
  });

  it('needs no timer of its own', async () => {
    await issue(await login());
    await vault.staticRole('fixed', { username: 'app', rotationPeriod: '8s' });
    expect(clock.pending).toBe(0);
  });

  it('renews 10,000 leases for a quarter of an hour in seconds', async () => {
    vault.databaseRole('many', { defaultTtl: '5m', maxTtl: '24h' });
    const token = await login();
    const begin = performance.now();
    const ids: string[] = [];
    for (let index = 0; index < 10_000; index++) ids.push((await issue(token, 'many')).id);
    const issued = performance.now();
    vault.clearHistory();
    const before = process.cpuUsage();
    for (const id of ids) {
      const again = () => {
        clock.setTimer(200_000, again);
        void renew(token, id);
      };
      clock.setTimer(200_000 * Math.random(), again);
    }
    await clock.advance(900_000);
    const took = performance.now() - issued;
    // Processor time: other processes may use the machine meanwhile.
    const { user, system } = process.cpuUsage(before);
    expect(vault.count()).toBeGreaterThan(40_000);
    expect(vault.requests(() => true).every(({ status }) => status === 200)).toBe(true);
    expect(vault.leaseCount).toBe(10_000);
    expect((user + system) / 1_000).toBeLessThan(15_000);
    process.stderr.write(
      `10,000 leases: issued in ${Math.round(issued - begin)} ms, ${vault.count()} renewals in ${Math.round(took)} ms\n`,
    );
  }, 90_000);
});
