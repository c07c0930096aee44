import { expect } from 'vitest';
import { inspect } from 'node:util';
import { Secret, token } from '../../../lib/index.js';
import { databaseDown } from './operator.js';
import { everywhere, ISSUE, LONG, SECOND, simulated, type Rules } from './rule.js';

const HOUR = 3_600 * SECOND;

/** Rules around leases: static roles, given tokens, shutdown, events and log. */
export const service: Rules = [
  simulated('C11', '412 is retried after a pause', async (world) => {
    world.vault!.answer(412, { errors: ['required index state not present'] }, { times: 1, match: /creds/ });
    const life = await world.start({ role: LONG });
    expect(life.published).toHaveLength(1);
    expect(world.requests(ISSUE)).toHaveLength(2);
  }),
  simulated('D4', 'a new login leaves enough time to issue again and to drain', async (world) => {
    const life = await world.start({ role: LONG, login: { ttl: 60, maxTtl: 100 } });
    // A pool whose longest transaction takes half a minute.
    life.published[0]!.lease.hold({ drain: 30 * SECOND });
    await world.until(() => life.of('rotated').length > 0, 110 * SECOND);
    const [first] = life.of('login');
    const [rotated] = life.of('rotated');
    expect(first!.at.getTime() + 100 * SECOND - rotated!.at.getTime()).toBeGreaterThan(30 * SECOND);
    expect(life.of('login')).toMatchObject([{ reason: 'start' }, { reason: 'max-ttl' }]);
  }),
  simulated('E5', 'user name and password are published together', async (world) => {
    const life = await world.start({ role: { ttl: 10, maxTtl: 20 } });
    await world.advance(200 * SECOND);
    expect(life.published.length).toBeGreaterThan(9);
    const pairs = life.published.map(({ data }) => data.reveal());
    expect(new Set(pairs.map(({ username }) => username)).size).toBe(pairs.length);
    expect(pairs.every((pair) => Object.isFrozen(pair))).toBe(true);
    expect(await world.isValid(life.published.at(-1)!)).toBe(true);
  }),
  simulated('E7', 'an unchanged value is no rotation', async (world) => {
    const life = await world.start({ role: LONG, watch: false });
    await world.settled(world.vault!.staticRole('fixed', { username: 'fixed', rotationPeriod: 60 }));
    const seen: unknown[] = [];
    life.connection.leases.watch('database/static-creds/fixed', false).subscribe((value) => seen.push(value));
    await world.advance(SECOND);
    world.vault!.answer(
      200,
      { data: { ttl: 0, username: 'fixed', password: 'same', last_vault_rotation: 'x' } },
      { match: /static-creds/ },
    );
    await world.advance(120 * SECOND);
    // One rotation for the other password, and none for repeated reads of it.
    expect(world.requests(/static-creds/).length).toBeGreaterThan(10);
    expect(seen).toHaveLength(2);
    expect(life.of('rotated')).toMatchObject([{ reason: 'server', serial: 2 }]);
    expect(life.of('issued').length).toBeLessThanOrEqual(2);
  }),
  simulated('D13', 'a given token: its file is watched, and a new token in it is used', async (world) => {
    const first = world.vault!.token({ ttl: 3_600 });
    let file = { token: first, version: '1' };
    const reader = {
      description: 'file of an agent',
      read: () => Promise.resolve(new Secret(file.token)),
      version: () => Promise.resolve(file.version),
    };
    const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, options: { auth: token(reader) } });
    await world.advance(60 * SECOND);
    expect(life.of('login')).toHaveLength(1);
    // The file is replaced in steps: for a moment there is none.
    file = { token: '', version: '' };
    await world.advance(30 * SECOND);
    file = { token: world.vault!.token({ ttl: 3_600 }), version: '2' };
    await world.advance(50 * SECOND);
    expect(life.of('login')).toMatchObject([{ reason: 'start' }, { reason: 'source' }]);
    expect(life.published.map(({ lease }) => lease.tokenSequence)).toEqual([1, 2]);
    world.vault!.revokeToken(first);
    expect(await world.isValid(life.published[1]!)).toBe(true);
    expect(life.of('expired')).toEqual([]);
  }),
  simulated('E10', 'no more than 60 issues a minute of one path, in any case', async (world) => {
    const life = await world.start({ role: { ttl: 3_600, maxTtl: 36_000 } });
    world.clear();
    const gone = { errors: ['lease not found'] };
    world.vault!.answer(400, gone, { match: /leases\/renew/ });
    // Every lease is short, and lost at its first renewal.
    world.vault!.databaseRole('app', { defaultTtl: 1, maxTtl: 36_000 });
    world.vault!.revokeLease(world.path);
    await world.advance(3_600 * SECOND);
    const next = () => life.connection.status.leases[0]!.next;
    await world.until(() => next().reason === 'issue-limit', 60 * SECOND);
    // The status gives the time, and the log the reason.
    const { at: until } = next();
    const issues = world.requests(ISSUE).length;
    await world.advance(until!.getTime() - world.clock!.wall() - 1);
    expect(world.requests(ISSUE)).toHaveLength(issues);
    await world.advance(SECOND);
    expect(world.requests(ISSUE).length).toBeGreaterThan(issues);
    expect(life.of('warning').filter(({ code }) => code === 'issue-limit')).toHaveLength(1);
    await world.advance(600 * SECOND);
    const times = world.vault!.requests(/creds/).map(({ at }) => at);
    for (const at of times)
      expect(times.filter((other) => other >= at && other < at + 60 * SECOND).length).toBeLessThanOrEqual(60);
    expect(life.ended).toEqual([]);
  }),
  simulated('E11', 'many secrets do not renew in the same second', async (world) => {
    const life = await world.start({ role: LONG, watch: false, login: { period: 36_000 } });
    for (let role = 0; role < 50; role++) {
      world.vault!.databaseRole(`r${role}`, { defaultTtl: 600, maxTtl: 6_000 });
      await world.settled(life.connection.leases.get(`database/creds/r${role}`));
    }
    world.clear();
    await world.advance(450 * SECOND);
    const times = world.vault!.requests(/leases\/renew/).map(({ at }) => at);
    expect(times).toHaveLength(50);
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(40 * SECOND);
    for (const at of times)
      expect(times.filter((other) => Math.abs(other - at) < SECOND).length).toBeLessThan(10);
  }),
  simulated('G3', 'a hanging request is aborted in time for another', async (world) => {
    const life = await world.start({ role: { ttl: 60, maxTtl: 600 } });
    const heal = world.vault!.delay(600 * SECOND, { match: /leases\/renew/ });
    await world.until(() => life.of('renewal-failed').length > 0, 60 * SECOND);
    expect(life.of('renewal-failed')[0]).toMatchObject({ error: { code: 'VAULT_TIMEOUT' } });
    heal();
    await world.until(() => life.of('renewed').length + life.of('rotated').length > 0, 20 * SECOND);
    expect(life.of('expired')).toEqual([]);
  }),
  simulated('G3', 'the same for an issue, while there is a lease to replace', async (world) => {
    const life = await world.start({ role: { ttl: 10, maxTtl: 15 } });
    const heal = world.vault!.delay(600 * SECOND, { match: /creds/ });
    await world.until(() => life.of('rotation-failed').length > 0, 20 * SECOND);
    expect(life.of('rotation-failed')[0]).toMatchObject({ error: { code: 'VAULT_TIMEOUT' } });
    heal();
    await world.until(() => life.of('rotated').length > 0, 20 * SECOND);
    expect(life.of('expired')).toEqual([]);
  }),
  simulated(
    'J1',
    'shutdown: no rotation, streams complete, one revocation, bounded, without an error',
    async (world) => {
      const life = await world.start({ role: { ttl: 60, maxTtl: 600 } });
      world.network.cut();
      const start = world.clock!.monotonic();
      await world.settled(life.connection.close());
      expect(world.clock!.monotonic() - start).toBeLessThanOrEqual(5 * SECOND + 100);
      expect(life.ended).toEqual(['complete']);
      expect(life.of('token-ended')).toMatchObject([{ how: 'revoke-failed' }]);
    },
  ),
  everywhere('J3', 'a revocation is reported as requested, not as done', async (world) => {
    const life = await world.start({ role: LONG });
    await world.settled(life.connection.close());
    expect(life.of('token-ended')).toMatchObject([{ how: 'revoke-requested' }]);
  }),
  simulated('J4', 'everything that a killed process held ends by its TTL', async (world) => {
    const role = { ttl: 60, maxTtl: 100 };
    const options = { renewal: { grace: 24 * HOUR } };
    const life = await world.start({ role, login: { ttl: 120, maxTtl: 600 }, options });
    life.published[0]!.lease.hold();
    await world.until(() => life.published.length > 1, 100 * SECOND);
    expect(world.vault!.leaseCount).toBe(2);
    world.clear();
    // No timer fires any more, as in a killed process.
    const resumed = world.clock!.stall(121 * SECOND);
    expect(world.requests()).toEqual([]);
    expect(world.vault).toMatchObject({ leaseCount: 0, tokenCount: 1, liveUsers: [] });
    await resumed;
  }),
  everywhere('J4', 'an unreachable process leaves nothing behind', async (world) => {
    const options = { renewal: { grace: HOUR } };
    const life = await world.start({ role: { ttl: 3, maxTtl: 5 }, login: { ttl: 6, maxTtl: 600 }, options });
    life.published[0]!.lease.hold();
    await world.until(() => life.published.length > 1, 6 * SECOND);
    for (const one of life.published) expect(await world.isValid(one)).toBe(true);
    // Drops all requests of the process, not those of the operator below.
    world.network.cut(/^(?!sys\/leases\/lookup\/)/);
    await world.advance(9 * SECOND);
    for (const one of life.published) expect(await world.isValid(one)).toBe(false);
    // Without leases, the list is not found.
    await expect(world.operator.api('LIST', `sys/leases/lookup/${world.path}`)).rejects.toThrow('404');
  }),
  everywhere('K1', 'events report each step, in order', async (world) => {
    const life = await world.start({ role: { ttl: 4, maxTtl: 10 } });
    await world.until(() => life.of('rotated').length > 0, 12 * SECOND);
    await world.settled(life.connection.close());
    const types = life.events.map(({ type }) => type);
    expect(types.slice(0, 2)).toEqual(['login', 'issued']);
    expect(types).toEqual(expect.arrayContaining(['renewed', 'rotated', 'closing', 'token-ended', 'closed']));
    const [first, last] = [life.of('renewed')[0]!, life.of('renewed').at(-1)!];
    expect(first).toMatchObject({ previousTtl: 4_000, ttl: 4_000, capped: false });
    expect(last.capped).toBe(true);
    expect(last.ttl).toBeLessThan(last.previousTtl);
    expect(life.of('rotated')[0]).toMatchObject({ reason: 'max-ttl' });
    expect(life.events.every(({ at, connection }) => at instanceof Date && connection === 'default')).toBe(
      true,
    );
  }),
  everywhere('K1', 'an outage of the server is reported once, and once its end', async (world) => {
    const life = await world.start({ role: { ttl: 3, maxTtl: 600 } });
    world.network.cut();
    await world.until(() => life.of('expired').length > 0, 6 * SECOND);
    expect(life.of('vault-unreachable')).toMatchObject([{ error: { code: 'VAULT_UNREACHABLE' } }]);
    expect(life.of('vault-recovered')).toEqual([]);
    world.network.restore();
    await world.until(() => life.of('rotated').length > 0, 6 * SECOND);
    const [away] = life.of('vault-unreachable');
    const [back] = life.of('vault-recovered');
    expect(life.of('vault-recovered')).toHaveLength(1);
    expect(back!.after).toBeCloseTo(back!.at.getTime() - away!.at.getTime(), -2);
  }),
  simulated('K1', 'events report each failure, each end, and the time left', async (world) => {
    const life = await world.start({ role: { ttl: 60, maxTtl: 90 } });
    world.vault!.answer(500, {}, { match: /creds/ });
    await world.until(() => life.of('expired').length > 0, 100 * SECOND);
    const [failed] = life.of('rotation-failed');
    expect(failed).toMatchObject({ reason: 'max-ttl', error: { code: 'VAULT_SERVER_ERROR' } });
    expect(failed!.validUntil!.getTime()).toBeGreaterThan(failed!.retryAt.getTime());
    world.vault!.clearFaults();
    await world.until(() => life.of('retired').length > 0, 60 * SECOND);
    expect(life.of('rotated')).toMatchObject([{ reason: 'expired' }]);
    world.vault!.answer(503, {}, { match: /revoke-self/ });
    await world.settled(life.connection.close());
    expect(life.of('token-ended')).toMatchObject([{ how: 'revoke-failed' }]);
  }),
  everywhere(
    'K3',
    'health: up, degraded during an outage, down when credentials expire, up again',
    async (world) => {
      const life = await world.start({ role: { ttl: 6, maxTtl: 600 } });
      const health = () => life.connection.status.health;
      expect(health()).toBe('up');
      world.network.cut();
      await world.until(() => health() === 'degraded', 6 * SECOND);
      expect(life.connection.leases.current(world.path)).toBeDefined();
      await world.until(() => health() === 'down', 6 * SECOND);
      world.network.restore();
      await world.until(() => health() === 'up', 6 * SECOND);
    },
  ),
  everywhere('K4', 'no event and no log line contains a secret', async (world) => {
    const life = await world.start({ role: { ttl: 3, maxTtl: 5 } });
    const restore = await databaseDown(world);
    await world.until(() => life.of('renewal-failed').length > 0, 4 * SECOND);
    await restore();
    await world.until(() => life.of('rotated').length > 0, 8 * SECOND);
    const printed =
      inspect([life.events, life.connection.status, life.published], { depth: 12, showHidden: true }) +
      JSON.stringify([life.events, life.published]);
    for (const { data } of life.published) expect(printed).not.toContain(data.reveal().password);
    expect(printed).not.toMatch(/\b(hvs|s)\.[A-Za-z0-9]{20}/);
  }),
];
