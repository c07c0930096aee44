import { SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { asker, type Ask } from './support.js';

/**
 * Where Vault 1.21.4 was recorded to answer otherwise than OpenBao 2.7.2; that one is compared live in test/parity.
 */
describe('the dialect of Vault', () => {
  let ask: Ask;
  let lease: string;
  const login = 'auth/approle/login';
  const garbage = { token: 'garbage' };

  beforeAll(async () => {
    const vault = new SimulatedVault({ dialect: 'vault' });
    ask = asker(vault);
    vault.appRole('app');
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

  it('rotates static roles by a schedule, to whose next time the TTL counts before it has', async () => {
    const clock = new VirtualClock();
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

  it('has the old paths of leases', async () => {
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

  it('takes no notice of namespaces', async () => {
    const headers = { 'X-Vault-Namespace': 'ghost' };
    expect((await ask('GET', 'secret/data/k', undefined, { headers })).status).toBe(200);
  });
});
