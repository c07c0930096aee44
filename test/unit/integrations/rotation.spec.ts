import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ReplaySubject } from 'rxjs';
import { Reports } from '../../../lib/integrations/rotation/reports.js';
import { Rotation } from '../../../lib/integrations/rotation/rotation.js';
import type { PoolEvent, RotationDriver } from '../../../lib/integrations/rotation/rotation-driver.js';
import type { DatabaseCredentials } from '../../../lib/services/credentials.service.js';
import { issueByHand, type Issued } from '../../support/driver-load.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A pool whose connections are texts, and which logs in as it is told to. */
function rotating(driver: Partial<RotationDriver<string>>) {
  const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
  const events: PoolEvent[] = [];
  const reports = new Reports('test', (event) => events.push(event));
  const rotation = new Rotation<string>(
    credentials$,
    {
      prove: () => Promise.resolve(),
      refuses: () => false,
      published: () => undefined,
      superseded: () => undefined,
      end: () => undefined,
      ...driver,
    },
    { drain: 100, reports, onEnd: () => undefined },
  );
  return { credentials$, events, rotation };
}

it('a login that is never answered is tried again, and told of', async () => {
  const hangs = () => new Promise<void>(() => undefined);
  const tries = [hangs, hangs, hangs, hangs, () => Promise.resolve()];
  const { credentials$, events } = rotating({ prove: () => (tries.shift() ?? hangs)() });
  credentials$.next(issueByHand().credentials);
  credentials$.next(issueByHand().credentials);
  await vi.advanceTimersByTimeAsync(45_000);
  expect(events).toMatchObject([
    { type: 'verification-failed', error: { code: 'ETIMEDOUT' } },
    { type: 'rotated' },
  ]);
});

it('credentials that are refused for long, as by a replica that learns late, are used once they are let in', async () => {
  const start = Date.now();
  const denied = Object.assign(new Error('no such user'), { code: 'denied' });
  const { credentials$, events } = rotating({
    prove: () => (Date.now() - start < 20_000 ? Promise.reject(denied) : Promise.resolve()),
    refuses: (error) => error === denied,
  });
  const [first, next] = [issueByHand(), issueByHand()];
  credentials$.next(first.credentials);
  credentials$.next(next.credentials);
  await vi.advanceTimersByTimeAsync(19_000);
  expect(events.map(({ type }) => type)).toEqual(['refused']);
  expect(next).toMatchObject({ holds: 0, refused: [true] });
  await vi.advanceTimersByTimeAsync(4_000);
  expect(events.map(({ type }) => type)).toEqual(['refused', 'rotated']);
  expect({ first: first.holds, next: next.holds }).toEqual({ first: 0, next: 1 });
});

/** As a proxy says it of a user who is gone, and of much else. */
const unclear = Object.assign(new Error('no such user'), { code: '08P01' });
const away = () => Promise.reject(unclear);

it('a login that fails, for whatever reason: the server is asked whether the lease lives, and it is reported', async () => {
  const { credentials$, events, rotation } = rotating({ prove: away });
  const first = issueByHand();
  credentials$.next(first.credentials);
  rotation.loginFailed(await rotation.ready(), unclear);
  await vi.advanceTimersByTimeAsync(10);
  expect(first.refused).toEqual([false]);
  expect(events).toMatchObject([{ type: 'verification-failed', error: unclear }]);
});

it('a login that is refused for certain, and again when it is checked: other credentials are asked for', async () => {
  const { credentials$, events, rotation } = rotating({
    prove: away,
    refuses: (error) => error === unclear,
  });
  const first = issueByHand();
  credentials$.next(first.credentials);
  rotation.loginFailed(await rotation.ready(), unclear);
  await vi.advanceTimersByTimeAsync(10);
  expect(first.refused).toEqual([true]);
  expect(events).toMatchObject([{ type: 'refused' }]);
});

it.each<[string, () => Promise<void>, number]>([
  ['refuses connections', away, 125],
  ['never answers', () => new Promise(() => undefined), 62],
])(
  'a database that %s for ten minutes makes no storm of checks, and no other credentials',
  async (_what, answer, most) => {
    let [checks, atOnce, busiest] = [0, 0, 0];
    const { credentials$, events, rotation } = rotating({
      prove: async () => {
        checks++;
        busiest = Math.max(busiest, ++atOnce);
        // As long as a rotation waits for it.
        await Promise.race([answer(), new Promise((resolve) => setTimeout(resolve, 9_999))]).finally(
          () => atOnce--,
        );
        throw unclear;
      },
    });
    const first = issueByHand();
    credentials$.next(first.credentials);
    const era = await rotation.ready();
    for (let at = 0; at < 600_000; at += 250) {
      rotation.loginFailed(era, unclear);
      if (at % 500 === 0) rotation.doubt(era);
      await vi.advanceTimersByTimeAsync(250);
    }
    expect({ busiest, refused: new Set(first.refused) }).toEqual({ busiest: 1, refused: new Set([false]) });
    // A login is checked each 5 s at most, a statement each 30 s.
    expect(checks).toBeLessThan(most + 25);
    expect(first.refused.length).toBeLessThanOrEqual(checks);
    expect(events.map(({ type }) => type)).toEqual(['verification-failed']);
  },
);

it('new credentials that cannot log in for a reason unknown: the server is asked about their lease, each 5 s at most', async () => {
  const { credentials$, events } = rotating({ prove: away });
  const [first, next] = [issueByHand(), issueByHand()];
  credentials$.next(first.credentials);
  credentials$.next(next.credentials);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(next.refused).toEqual([false]);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(new Set(next.refused)).toEqual(new Set([false]));
  expect(next.refused.length).toBeGreaterThan(90);
  expect(next.refused.length).toBeLessThan(125);
  expect(events.map(({ type }) => type)).toEqual(['verification-failed']);
  expect({ first: first.holds, next: next.holds }).toEqual({ first: 1, next: 1 });
});

it.each([
  ['might have other reasons', unclear, false],
  ['is certain', new Error('refused'), true],
])(
  'a login failed, which %s: whether idle connections go at once with the next credentials',
  async (_what, error, expected) => {
    const doubtful: boolean[] = [];
    const { credentials$, rotation } = rotating({
      refuses: (one) => one !== unclear,
      published: (doubt) => void doubtful.push(doubt),
    });
    credentials$.next(issueByHand().credentials);
    rotation.loginFailed(await rotation.ready(), error);
    credentials$.next(issueByHand().credentials);
    await vi.advanceTimersByTimeAsync(10);
    expect(doubtful).toEqual([expected]);
  },
);

it.each([
  ['its user logs in as ever', () => Promise.resolve(), false],
  ['its user logs in no more', away, true],
])(
  'a session ends by itself, %s: whether idle connections go at once with the next credentials',
  async (_what, prove, expected) => {
    const doubtful: boolean[] = [];
    const { credentials$, rotation } = rotating({
      prove: (credentials) => (credentials === first.credentials ? prove() : Promise.resolve()),
      published: (doubt) => void doubtful.push(doubt),
    });
    const first = issueByHand();
    credentials$.next(first.credentials);
    rotation.sessionEnded(await rotation.ready());
    await vi.advanceTimersByTimeAsync(10);
    expect(first.refused).toEqual([false]);
    credentials$.next(issueByHand().credentials);
    await vi.advanceTimersByTimeAsync(10);
    expect(doubtful).toEqual([expected]);
  },
);

it('a pool that ends because its login failed checks nothing', async () => {
  const prove = vi.fn(away);
  const { credentials$, rotation } = rotating({ prove });
  credentials$.next(issueByHand().credentials);
  rotation.loginFailed(await rotation.ready(), unclear);
  rotation.end();
  await vi.advanceTimersByTimeAsync(10);
  expect(prove).not.toHaveBeenCalled();
});

it('who waits for other credentials in vain leaves nothing behind', async () => {
  const { credentials$, rotation } = rotating({});
  credentials$.next(issueByHand().credentials);
  const era = await rotation.ready();
  const waiting = rotation.replaced(era, 50);
  await vi.advanceTimersByTimeAsync(60);
  expect(await waiting).toBe(false);
  const again = rotation.replaced(era, 50);
  credentials$.next(issueByHand().credentials);
  await vi.advanceTimersByTimeAsync(10);
  expect(await again).toBe(true);
});

it('only connections that somebody uses are stragglers', async () => {
  const ended: string[] = [];
  const { credentials$, events, rotation } = rotating({
    inUse: (connection) => connection === 'busy',
    end: (connection) => void ended.push(connection),
  });
  credentials$.next(issueByHand().credentials);
  const era = await rotation.ready();
  for (const connection of ['busy', 'idle']) rotation.opened(era, connection);
  credentials$.next(issueByHand().credentials);
  await vi.advanceTimersByTimeAsync(150);
  expect(events).toMatchObject([{ type: 'rotated' }, { type: 'drain-timeout', count: 1 }]);
  expect(ended).toEqual(['busy', 'idle']);
});

it('statements that are denied for good are a reason to check about twice a minute, not ever less often', async () => {
  const checks: number[] = [];
  const { credentials$, rotation } = rotating({ prove: async () => void checks.push(Date.now()) });
  credentials$.next(issueByHand().credentials);
  const era = await rotation.ready();
  for (let second = 0; second < 600; second++) {
    rotation.doubt(era);
    await vi.advanceTimersByTimeAsync(1_000);
  }
  const pauses = checks.slice(1).map((at, index) => at - (checks[index] as number));
  expect(Math.max(...pauses)).toBe(30_000);
  expect(checks.length).toBeLessThan(30);
});

it.each([
  ['another user', () => issueByHand(), { until: true, ended: ['in use'] }],
  ['the same user', sameUserAgain, { until: false, ended: [] }],
])('%s comes: whether connections in use are ended', async (_who, next, expected) => {
  const ended: string[] = [];
  const told: unknown[] = [];
  const { credentials$, rotation } = rotating({
    superseded: (_connection, until) => told.push(until !== undefined),
    end: (connection) => void ended.push(connection),
  });
  const first = issueByHand();
  credentials$.next(first.credentials);
  const era = await rotation.ready();
  rotation.opened(era, 'in use');
  credentials$.next(next(first).credentials);
  await vi.advanceTimersByTimeAsync(150);
  expect({ until: told, ended, holds: first.holds }).toEqual({
    until: [expected.until],
    ended: expected.ended,
    holds: 1,
  });
  rotation.closed(era, 'in use');
  expect(first.holds).toBe(0);
});

it('what is to be done before the lease is let go of has 2 s', async () => {
  const { credentials$, rotation } = rotating({ leaving: () => new Promise(() => undefined) });
  const first = issueByHand();
  credentials$.next(first.credentials);
  (await rotation.ready()).used = true;
  rotation.end();
  await vi.advanceTimersByTimeAsync(1_900);
  expect(first.holds).toBe(1);
  await vi.advanceTimersByTimeAsync(200);
  expect(first.holds).toBe(0);
});

/** As of a static role: another password. */
function sameUserAgain({ credentials: { username } }: Issued): Issued {
  const next = issueByHand();
  return { ...next, credentials: { ...next.credentials, username } };
}

it.each([
  ['newer ones are in place', 2],
  ['the pool has ended', 1],
])('a login of new credentials that is answered when %s changes nothing', async (_when, place) => {
  const answers: (() => void)[] = [];
  const { credentials$, events, rotation } = rotating({
    prove: () => new Promise((resolve) => answers.push(resolve)),
  });
  const all = [issueByHand(), issueByHand(), issueByHand()];
  for (const { credentials } of all) credentials$.next(credentials);
  await vi.advanceTimersByTimeAsync(10);
  if (place === 2) answers[1]!();
  else rotation.end();
  await vi.advanceTimersByTimeAsync(200);
  answers[0]!();
  await vi.advanceTimersByTimeAsync(200);
  const rotated = place === 2 ? [{ type: 'rotated', serial: all[2]!.credentials.lease.serial }] : [];
  expect(events).toMatchObject(rotated);
  expect(events).toHaveLength(rotated.length);
  expect(all.map(({ holds }) => holds)).toEqual(place === 2 ? [0, 0, 1] : [0, 0, 0]);
});
