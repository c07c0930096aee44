import { type NodeState, SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { expect, it } from 'vitest';
import { asker } from '../support.js';

/** A server with one secret that the root token reads. */
function server(dialect: 'vault' | 'openbao' = 'vault') {
  const clock = new VirtualClock();
  const vault = new SimulatedVault({ clock, dialect });
  vault.kv().put('app', { a: 1 });
  const ask = asker(vault);
  const health = async (query = '') =>
    (await ask('GET', `sys/health${query}`, undefined, { token: '' })).status;
  return { clock, vault, ask, health, read: async () => (await ask('GET', 'secret/data/app')).status };
}

const states: [NodeState, number, code: string, read: number, object][] = [
  ['active', 200, 'activecode', 200, { initialized: true, sealed: false, standby: false, enterprise: false }],
  [
    'performance-standby',
    473,
    'performancestandbycode',
    200,
    { initialized: true, sealed: false, standby: true, performance_standby: true, enterprise: true },
  ],
  [
    'dr-secondary',
    472,
    'drsecondarycode',
    400,
    { initialized: true, sealed: false, standby: false, replication_dr_mode: 'secondary', enterprise: true },
  ],
  [
    'uninitialized',
    501,
    'uninitcode',
    503,
    { initialized: false, sealed: true, standby: true, replication_dr_mode: 'unknown' },
  ],
];

it.each(states)('a node is %s: %i', async (state, status, code, readStatus, body) => {
  const { vault, ask, health, read } = server();
  vault.health(state);
  const told = await ask('GET', 'sys/health', undefined, { token: '' });
  expect(told).toMatchObject({ status, body });
  expect((await ask('HEAD', 'sys/health')).status).toBe(status);
  expect([await health(`?${code}=299`), await health(`?${code}=x`)]).toEqual([299, 400]);
  expect(await read()).toBe(readStatus);
  vault.health('active');
  expect([await health(), await read()]).toEqual([200, 200]);
});

it('refuses as a DR secondary does', async () => {
  const { vault, ask } = server();
  vault.health('dr-secondary');
  expect((await ask('GET', 'secret/data/app')).body).toEqual({
    errors: ['path disabled in replication DR secondary mode'],
  });
});

// As recorded from OpenBao 2.7.2.
it('is not initialised: sealed, and cannot be unsealed', async () => {
  const { clock, vault, ask } = server('openbao');
  const token = vault.token({ ttl: '10s' });
  vault.health('uninitialized');
  expect(Object.keys((await ask('GET', 'sys/health')).body as object)).toEqual([
    'initialized',
    'sealed',
    'standby',
    'replication_performance_mode',
    'replication_dr_mode',
    'server_time_utc',
    'version',
  ]);
  expect((await ask('GET', 'sys/init')).body).toEqual({ initialized: false });
  expect((await ask('GET', 'sys/seal-status')).body).toMatchObject({
    initialized: false,
    sealed: true,
    t: 0,
    n: 0,
  });
  expect(await ask('PUT', 'sys/unseal', { key: 'a'.repeat(32) })).toMatchObject({
    status: 400,
    body: { errors: ['Vault is not initialized'] },
  });
  expect(await ask('GET', 'secret/data/app')).toMatchObject({
    status: 503,
    body: { errors: ['Vault is sealed'] },
  });
  await clock.advance(11_000);
  expect(vault.tokenCount).toBe(2);
  vault.health('active');
  expect([vault.tokenCount, (await ask('GET', 'secret/data/app', undefined, { token })).status]).toEqual([
    1, 403,
  ]);
});

it('the worst state decides the status', async () => {
  const { vault, health } = server();
  vault.standby();
  expect([
    await health(),
    await health('?standbyok=true&activecode=299'),
    await health('?standbyok'),
  ]).toEqual([429, 299, 429]);
  vault.health('performance-standby');
  expect([await health(), await health('?standbyok=1'), await health('?perfstandbyok=1')]).toEqual([
    473, 473, 200,
  ]);
  vault.health('dr-secondary');
  expect(await health('?perfstandbyok=true')).toBe(472);
  vault.seal();
  expect(await health()).toBe(503);
  vault.health('uninitialized');
  expect(await health()).toBe(501);
  expect(await health('?standbyok=maybe')).toBe(400);
  vault.health('active');
  expect(await health()).toBe(503);
});

it('OpenBao has neither performance standbys nor DR secondaries', async () => {
  const { vault, health } = server('openbao');
  expect(() => vault.health('performance-standby')).toThrow("dialect: 'vault'");
  expect(() => vault.health('dr-secondary')).toThrow("dialect: 'vault'");
  expect(await health('?perfstandbyok=maybe&drsecondarycode=x')).toBe(200);
});
