import { type AppRoleHandle, SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Ask, asker } from './support.js';

/**
 * Recorded answers of Vault 1.21.4 that differ from OpenBao 2.7.2; test/parity compares the simulation with OpenBao live.
 */
describe('the dialect of Vault', () => {
  let ask: Ask;
  let lease: string;
  let vault: SimulatedVault;
  let role: AppRoleHandle;
  const login = 'auth/approle/login';
  const garbage = { token: 'garbage' };

  beforeAll(async () => {
    vault = new SimulatedVault({ dialect: 'vault' });
    ask = asker(vault);
    role = vault.appRole('app');
    vault.databaseRole('app', { defaultTtl: 30 });
    vault.kv().put('k', { a: 1 });
    lease = (await ask('GET', 'database/creds/app')).body.lease_id as string;
  });

  const unknown = '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n';
  const refusals: [string, string, unknown, object, number, string][] = [
    ['POST', login, {}, { token: '' }, 500, 'failed to determine alias name from login request'],
    ['GET', login, undefined, { token: '' }, 500, 'failed to determine alias name from login request'],
    ['GET', 'auth/token/lookup-self', undefined, garbage, 403, unknown],
    ['POST', 'sys/leases/renew', { lease_id: 'x' }, garbage, 403, unknown],
    ['GET', 'nomount/x', undefined, garbage, 403, unknown],
    ['GET', 'nomount/x', undefined, { token: '' }, 403, 'permission denied'],
    [
      'GET',
      'secret/data/k?version=abc',
      undefined,
      {},
      400,
      `Field validation failed: error converting input for field "version": cannot parse '' as int: ` +
        'strconv.ParseInt: parsing "abc": invalid syntax',
    ],
    ['POST', 'sys/namespaces/x', {}, {}, 404, 'enterprise-only feature'],
    [
      'POST',
      'database/static-roles/s',
      { username: 'u', rotation_period: 60, rotation_schedule: '* * * * *' },
      {},
      400,
      'mutually exclusive fields rotation_period and rotation_schedule were both specified; only one of them can be provided',
    ],
    [
      'POST',
      'database/static-roles/s',
      { username: 'u' },
      {},
      400,
      'one of rotation_schedule or rotation_period must be provided to create a static account',
    ],
    [
      'POST',
      'database/static-roles/s',
      { username: 'u', rotation_period: 60, rotation_window: 3600 },
      {},
      400,
      'rotation_window is invalid with use of rotation_period',
    ],
    ['LIST', 'sys/namespaces', undefined, {}, 404, 'enterprise-only feature'],
    [
      'POST',
      login,
      [1],
      {},
      400,
      'error parsing JSON: failed to parse JSON input: json: cannot unmarshal array into Go value of type ' +
        'map[string]interface {}',
    ],
  ];

  it.each(refusals)('%s %s', async (method, path, body, options, status, error) => {
    expect(await ask(method, path, body, options)).toMatchObject({ status, body: { errors: [error] } });
  });

  it('rotates static roles by a schedule; the TTL counts to its next time', async () => {
    const clock = new VirtualClock({ wall: Date.UTC(2026, 0, 1) });
    const server = new SimulatedVault({ clock, dialect: 'vault' });
    await clock.advance(2_000);
    const role = { username: 'app', rotationSchedule: '*/5 * * * *', rotationWindow: '1h' };
    await server.staticRole('fixed', { ...role, mount: 'late' });
    const query = asker(server);
    const read = async () => (await query('GET', 'late/static-creds/fixed')).body.data;
    const first = await read();
    expect(first).toMatchObject({ rotation_schedule: '*/5 * * * *', rotation_window: 3_600, ttl: 298 });
    expect('rotation_period' in first).toBe(false);
    await clock.advance(299_000);
    expect(await read()).toMatchObject({ ...first, ttl: 299 });
    await clock.advance(1_000);
    const second = await read();
    expect([second.ttl, second.password === first.password]).toEqual([298, false]);
    expect((await query('GET', 'late/static-roles/fixed')).body.data.rotation_schedule).toBe('*/5 * * * *');
  });

  it.each(['* * * *', '60 * * * *', 'MON * * * *', '5-1 * * * *', '*/0 * * * *'])(
    'refuses the schedule %s',
    async (rotation_schedule) => {
      const body = { username: 'u', db_name: 'simulated', rotation_schedule };
      const answer = await ask('POST', 'database/static-roles/s', body);
      expect([answer.status, answer.body.errors]).toEqual([
        400,
        [expect.stringMatching(/^could not parse rotation_sch/)],
      ]);
    },
  );

  it('has the legacy paths of leases', async () => {
    const renewed = await ask('PUT', 'sys/renew', { lease_id: lease, increment: 20 });
    expect([renewed.status, renewed.body.lease_duration]).toEqual([200, 20]);
    expect((await ask('PUT', `sys/renew/${lease}`)).status).toBe(200);
    expect((await ask('PUT', 'sys/revoke', { lease_id: lease })).status).toBe(204);
  });

  it('has other fields', async () => {
    const fields = async (path: string) => Object.keys((await ask('GET', path)).body as object);
    const data = async (path: string) => Object.keys((await ask('GET', path)).body.data as object);
    expect(await fields('secret/data/k')).toContain('mount_type');
    expect(await fields('sys/health')).toContain('performance_standby');
    expect(await fields('sys/leader')).toContain('active_time');
    expect(await fields('sys/seal-status')).toContain('build_date');
    expect(await data('secret/config')).not.toContain('metadata_cas_required');
    expect(await data('sys/policies/acl/default')).toEqual(['name', 'policy']);
    const { lease_id } = (await ask('GET', 'database/creds/app')).body as { lease_id: string };
    const found = await ask('POST', 'sys/leases/lookup', { lease_id });
    expect(Object.keys(found.body.data as object)).not.toContain('path');
  });

  it('reports the type of the mount', async () => {
    const wrapped = { headers: { 'X-Vault-Wrap-TTL': '60s' } };
    const type = async (...request: Parameters<Ask>) =>
      (await ask(...request)).body.mount_type as string | undefined;
    const credentials = { role_id: role.roleId, secret_id: role.secretId() };
    expect(await type('POST', login, credentials, { token: '' })).toBe('approle');
    expect(await type('GET', 'auth/token/lookup-self')).toBe('token');
    expect(await type('GET', 'secret/k')).toBe('kv');
    expect(await type('GET', 'database/creds/app')).toBe('database');
    const { wrap_info, mount_type } = (await ask('GET', 'secret/data/k', undefined, wrapped)).body;
    expect(mount_type).toBe('kv');
    for (const token of [wrap_info.token as string, role.wrappedSecretId()]) {
      const own = token === wrap_info.token ? 'kv' : 'approle';
      expect(await type('POST', 'sys/wrapping/unwrap', undefined, { token })).toBe(own);
    }
  });

  const prefix = 'error parsing JSON: failed to parse JSON input: ';
  it.each([
    ['{"a": x}', 500, "invalid character 'x' looking for beginning of value"],
    ['{"a": {', 500, 'malformed JSON, unclosed containers'],
    ['{"a": "', 500, 'malformed JSON, unclosed string'],
    ['{"data": {}}zz', 500, "invalid character 'z' after top-level value"],
    ['{}}', 500, "invalid character '}' after top-level value"],
    ['{"a": [1}', 500, "malformed JSON: mismatched closing delimiter '}'"],
    ['{"data": {"b": 1, "b": 2}}', 500, "duplicate key 'b' in object"],
    [`{"data": ${'['.repeat(400)}${']'.repeat(400)}}`, 500, 'JSON input exceeds allowed nesting depth'],
    [`{"data": {"a": "${'x'.repeat(2 ** 20 + 1)}"}}`, 500, 'JSON string value exceeds allowed length'],
    [`{"data": {"a": [${'1,'.repeat(12_000)}1]}}`, 500, 'JSON array exceeds allowed element count'],
    ['x{', 400, `${prefix}invalid character 'x' looking for beginning of value`],
  ])('refuses %.20s as JSON', async (body, status, error) => {
    const answer = await vault.transport().send({
      method: 'POST',
      path: '/v1/secret/data/m',
      headers: { 'X-Vault-Token': 'root' },
      timeout: 1_000,
      body,
    });
    expect([answer.statusCode, JSON.parse(answer.body)]).toEqual([status, { errors: [error] }]);
  });

  it('accepts valid JSON, whatever its texts contain', async () => {
    const data = { 'a"b': ['{"', { x: [], y: {} }, -1.5e3, true, null], 'a}b': '\\"]', c: '😀' };
    expect((await ask('POST', 'secret/data/right', { data })).status).toBe(200);
    expect((await ask('GET', 'secret/data/right')).body.data.data).toEqual(data);
  });

  it('ignores namespaces', async () => {
    const headers = { 'X-Vault-Namespace': 'ghost' };
    expect((await ask('GET', 'secret/data/k', undefined, { headers })).status).toBe(200);
  });
});
