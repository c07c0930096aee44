import { expect } from 'vitest';
import type { Credentials } from '../../lib/leases/lease.js';
import { DENIED, errors, story, type SimulatedWorld } from './case.js';
import { ISSUE, LOOKUP_SELF, RENEW, RENEW_SELF, SECOND } from './rules/rule.js';
import type { Life, LoginSettings, RoleSettings } from './world.js';

const LASTING = { ttl: 100 * 3_600, maxTtl: 200 * 3_600 };
const LOOKUP = /^sys\/leases\/lookup$/;

/** A pool: it holds each snapshot, and releases the previous one so many milliseconds after the next. */
async function pool(
  world: SimulatedWorld,
  role: RoleSettings,
  drain: number,
  login: LoginSettings = LASTING,
) {
  const life = await world.start({ role, login });
  const cutOff: number[] = [];
  const ended: number[] = [];
  let letGo: (() => void) | undefined;
  life.connection.leases
    .watch<{ username: string; password: string }>(world.path, false)
    .subscribe((next) => {
      const before = letGo;
      const { serial } = next.lease;
      const release = next.lease.hold({ drain, onEnding: () => ended.push(serial) });
      letGo = release;
      const old = life.published.find(({ lease }) => lease.serial === serial - 1);
      if (!before || !old) return;
      // The longest possible transaction began just before; its last statement uses the user once more.
      world.clock.setTimer(drain, () => {
        void world.isValid(old).then((valid) => {
          if (!valid) cutOff.push(serial - 1);
          before();
        });
      });
    });
  return { life, cutOff, ended };
}

const drainOf = (life: Life) => life.connection.status.leases[0]!.drain;

for (const [ttl, maxTtl, drain] of [
  [5, 15, 6],
  [5, 15, 2],
  [10, 60, 20],
  [3_600, 36_000, 30],
  [60, 60, 20],
] as const) {
  story(`a lease of ${ttl} s / ${maxTtl} s leaves its consumers ${drain} s to drain`, async (world) => {
    const { life, cutOff, ended } = await pool(world, { ttl, maxTtl }, drain * SECOND);
    await world.advance(20 * maxTtl * SECOND);
    expect(life.of('rotated').length).toBeGreaterThanOrEqual(19);
    expect(life.of('rotated').length).toBeLessThanOrEqual(45);
    expect({ cutOff, ended }).toEqual({ cutOff: [], ended: [] });
    expect({ drain: drainOf(life), warnings: life.of('warning') }).toEqual({
      drain: undefined,
      warnings: [],
    });
  });
}

story('the drain takes no extra renewal if there is enough time', async (world) => {
  const { life } = await pool(world, { ttl: 3_600, maxTtl: 36_000 }, 30 * SECOND);
  await world.advance(3_600 * SECOND);
  expect(world.requests(RENEW)).toHaveLength(1);
  expect(world.requests(RENEW)[0]!.body).not.toContain('increment');
  expect(life.of('renewed')).toHaveLength(1);
});

for (const [what, role, allowed] of [
  ['cannot be extended so far', { ttl: 5, maxTtl: 8 }, 4_000],
  ['cannot be extended', { ttl: 8, maxTtl: 8 }, 4_000],
] as const) {
  story(`a lease that ${what} warns at the start that its consumers need too long`, async (world) => {
    const { life, cutOff } = await pool(world, role, 30 * SECOND);
    await world.advance(100);
    expect(drainOf(life)).toEqual({ needed: 30_000, allowed });
    expect(life.of('warning')).toMatchObject([
      { code: 'drain-too-long', message: expect.stringContaining('may need 30 s') },
    ]);
    await world.advance(200 * SECOND);
    // This causes no storm: each lease is used for half of its TTL.
    expect(world.requests(ISSUE).length).toBeLessThanOrEqual(60);
    expect(cutOff.length).toBeGreaterThan(10);
    expect(life.of('warning')).toHaveLength(1);
  });
}

for (const [what, login, drain, logins] of [
  ['60 s / 100 s', { ttl: 60, maxTtl: 100 }, 30, 20],
  ['20 s / 60 s', { ttl: 20, maxTtl: 60 }, 10, 30],
  ['90 s, not to be renewed', { ttl: 90, type: 'batch' }, 30, 25],
  ['60 s, periodic', { ttl: 60, period: 60 }, 50, 1],
] as const) {
  story(
    `a token of ${what} is replaced while the consumers of its leases have ${drain} s to drain`,
    async (world) => {
      const { life, cutOff, ended } = await pool(world, LASTING, drain * SECOND, login);
      await world.advance(1_000 * SECOND);
      expect(life.of('rotated').length).toBeGreaterThanOrEqual(logins > 1 ? 10 : 0);
      expect(life.of('login').length).toBeLessThanOrEqual(logins);
      expect(world.requests(RENEW_SELF).length).toBeLessThan(100);
      expect({ cutOff, ended, drain: drainOf(life) }).toEqual({ cutOff: [], ended: [], drain: undefined });
      expect(life.of('warning').filter(({ message }) => /to drain a lease/.test(message))).toEqual([]);
    },
  );
}

story('a token whose TTL is too short for its consumers: the status and the log report it', async (world) => {
  const { life, cutOff } = await pool(world, LASTING, 30 * SECOND, { ttl: 20, maxTtl: 40 });
  await world.advance(SECOND);
  expect(drainOf(life)).toMatchObject({ needed: 30_000, allowed: 20_000 });
  expect(life.of('warning')).toMatchObject([{ message: expect.stringContaining('token_max_ttl') }]);
  await world.advance(400 * SECOND);
  expect(life.of('login').length).toBeLessThanOrEqual(22);
  expect(cutOff.length).toBeGreaterThan(10);
});

story('a drain does not cause a lease of two seconds to be renewed all the time', async (world) => {
  const { life, cutOff } = await pool(world, { ttl: 2, maxTtl: 60 }, 10 * SECOND);
  await world.advance(120 * SECOND);
  expect(world.requests(RENEW).length).toBeLessThan(130);
  expect(life.of('rotated').length).toBeGreaterThan(1);
  expect(cutOff).toEqual([]);
});

story('the holder of a lease is notified before it ends in spite of the hold', async (world) => {
  const life = await world.start({ role: { ttl: 60, maxTtl: 600 }, login: LASTING });
  const first = life.published[0] as Credentials<{ username: string; password: string }>;
  const notices: { left: number; valid: boolean }[] = [];
  first.lease.hold({
    onEnding: () => {
      const left = life.published[0]!.lease.validUntil.getTime() - world.clock.wall();
      void world.isValid(first).then((valid) => notices.push({ left, valid }));
    },
  });
  await world.until(() => life.of('rotated').length > 0, 700 * SECOND);
  await world.advance(700 * SECOND);
  expect(notices).toMatchObject([{ valid: true }]);
});

story('a consumer was rejected: the lease is looked up once for any number of reports', async (world) => {
  const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, login: LASTING });
  const { lease } = life.published[0]!;
  await world.settled(
    Promise.all(Array.from({ length: 20 }, () => lease.reportRejected!({ confirmed: false }))),
  );
  expect(world.requests(LOOKUP)).toHaveLength(1);
  // The lease is valid: a new one would not help against any other cause of the rejection.
  expect(world.requests(ISSUE)).toHaveLength(1);

  await world.operator.revokeLeases();
  await world.settled(lease.reportRejected!({ confirmed: false }));
  await world.until(() => life.published.length > 1, SECOND);
  expect(life.of('rotated')).toMatchObject([{ reason: 'lease-lost' }]);
  expect(await world.isValid(life.published[1]!)).toBe(true);
});

story(
  'a confirmed rejection takes effect while the lease is looked up for an unconfirmed one',
  async (world) => {
    const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, login: LASTING });
    const { lease } = life.published[0]!;
    world.vault.delay(SECOND, { match: /leases\/lookup/ });
    const reports = [lease.reportRejected!({ confirmed: false }), lease.reportRejected!({ confirmed: true })];
    await world.settled(Promise.all(reports));
    await world.until(() => life.published.length > 1, SECOND);
    expect(world.requests(LOOKUP)).toHaveLength(1);
    expect(life.of('rotated')).toMatchObject([{ reason: 'rejected' }]);
  },
);

story(
  'a confirmed rejection gets a new lease, and a consumer that rejects each one gets ever fewer',
  async (world) => {
    const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, login: LASTING });
    life.connection.leases
      .watch(world.path, false)
      .subscribe(({ lease }) => void lease.reportRejected!({ confirmed: true }));
    await world.advance(SECOND);
    expect(life.of('rotated')[0]).toMatchObject({ reason: 'rejected' });
    await world.advance(600 * SECOND);
    expect(world.requests(ISSUE).length).toBeGreaterThan(8);
    expect(world.requests(ISSUE).length).toBeLessThan(20);
  },
);

story('repeated rejections do not speed up the attempts to issue a new lease', async (world) => {
  const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, login: LASTING });
  const { lease } = life.published[0]!;
  world.network.answer(ISSUE, 500, errors('failed to connect to `user=x database=y`: dial error'));
  world.clear();
  for (let count = 0; count < 300; count++) {
    await world.settled(lease.reportRejected!({ confirmed: true }));
    await world.advance(SECOND);
  }
  expect(world.requests(ISSUE).length).toBeLessThan(30);
  expect(life.connection.leases.statusOf(world.path)).toMatchObject({
    attempt: expect.any(Number),
    error: {},
  });
  world.network.restore();
  await world.until(() => life.published.length > 1, 31 * SECOND);
});

story(
  'a rejection caused by the token: one look-up of the token, and everything is issued anew',
  async (world) => {
    const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, login: LASTING });
    await world.advance(10 * SECOND);
    await world.operator.revokeTokens();
    await world.settled(life.published[0]!.lease.reportRejected!({ confirmed: true }));
    await world.until(() => life.published.length > 1, SECOND);
    expect(world.requests(LOOKUP_SELF)).toHaveLength(1);
    expect(await world.isValid(life.published[1]!)).toBe(true);
  },
);

story('a rejection of a superseded lease causes no request', async (world) => {
  const life = await world.start({ role: { ttl: 10, maxTtl: 20 }, login: LASTING });
  await world.until(() => life.published.length > 1, 30 * SECOND);
  await world.settled(life.published[0]!.lease.reportRejected!({ confirmed: true }));
  await world.advance(SECOND);
  expect(world.requests(LOOKUP)).toEqual([]);
  expect(life.published).toHaveLength(2);
});

story(
  'a pool that lends after a suspension past the deadline waits for one look-up, shared by all callers',
  async (world) => {
    const life = await world.start({ role: { ttl: 60, maxTtl: 600 }, login: LASTING });
    const { lease } = life.published[0]!;
    expect(lease.ensureValid?.()).toBeUndefined();
    world.clear();
    await world.clock.suspend(3_600 * SECOND);
    const asked = Array.from({ length: 50 }, () => lease.ensureValid!()!.catch((error: unknown) => error));
    const answers = await world.settled(Promise.all(asked));
    expect(answers).toEqual(Array(50).fill(expect.objectContaining({ code: 'VAULT_CREDENTIALS_EXPIRED' })));
    expect([world.requests(RENEW).length, world.requests(ISSUE).length]).toEqual([1, 1]);
    const next = life.published.at(-1)!;
    expect({ left: next.lease.ensureValid!(), valid: await world.isValid(next) }).toEqual({ valid: true });
  },
);

story(
  'without an answer of the server, a pool that lends waits once, and the database decides',
  async (world) => {
    const life = await world.start({ role: { ttl: 60, maxTtl: 600 }, login: LASTING });
    const { lease } = life.published[0]!;
    world.network.cut();
    await world.clock.suspend(3_600 * SECOND);
    world.clear();
    await world.settled(Promise.all([lease.ensureValid!(), lease.ensureValid!()]));
    const tries = world.requests().length;
    expect(tries).toBeGreaterThan(0);
    for (let ask = 0; ask < 1_000; ask++) expect(lease.ensureValid!()).toBeUndefined();
    expect(world.requests()).toHaveLength(tries);
    expect(life.connection.status.leases[0]).toMatchObject({ state: 'expired' });
    world.network.restore();
    await world.until(() => life.published.length > 1, 60 * SECOND);
    await expect(lease.ensureValid!()).rejects.toMatchObject({ code: 'VAULT_CREDENTIALS_EXPIRED' });
  },
);

story(
  'the server has lost the lease and issues no other: the pool lends nothing, and gives the reason',
  async (world) => {
    const life = await world.start({ role: { ttl: 60, maxTtl: 600 }, login: LASTING });
    const { lease } = life.published[0]!;
    const match = ({ path }: { path: string }) => path.endsWith(world.path);
    world.vault.answer(403, DENIED, { times: 100, match });
    await world.clock.suspend(3_600 * SECOND);
    for (let ask = 0; ask < 3; ask++) {
      const error = await world.settled(lease.ensureValid!()!.catch((reason: unknown) => reason));
      expect(error).toMatchObject({
        code: 'VAULT_CREDENTIALS_EXPIRED',
        cause: { status: 403 },
      });
    }
  },
);
