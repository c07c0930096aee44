import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { issueByHand } from '../../support/driver-load.js';
import { rotating, sameUserAgain } from './rotating.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('a login without an answer is tried again, and reported', async () => {
  const hangs = () => new Promise<void>(() => undefined);
  const tries = [hangs, hangs, hangs, hangs, () => Promise.resolve()];
  const { credentials$, events } = rotating({ verify: () => (tries.shift() ?? hangs)() });
  credentials$.next(issueByHand().credentials);
  credentials$.next(issueByHand().credentials);
  await vi.advanceTimersByTimeAsync(45_000);
  expect(events).toMatchObject([
    { type: 'verification-failed', error: { code: 'ETIMEDOUT' } },
    { type: 'rotated' },
  ]);
});

it('credentials that are rejected at first, as by a late replica, are used once they can log in', async () => {
  const start = Date.now();
  const denied = Object.assign(new Error('no such user'), { code: 'denied' });
  const { credentials$, events } = rotating({
    verify: () => (Date.now() - start < 20_000 ? Promise.reject(denied) : Promise.resolve()),
    isLoginRejected: (error) => error === denied,
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

/** A proxy may send this error for a dropped user, and for many other reasons. */
const unclear = Object.assign(new Error('no such user'), { code: '08P01' });
const failing = () => Promise.reject(unclear);

it('a failed login is reported, and Vault is asked whether the lease is valid', async () => {
  const { credentials$, events, rotation } = rotating({ verify: failing });
  const first = issueByHand();
  credentials$.next(first.credentials);
  rotation.loginFailed(await rotation.ready(), unclear);
  await vi.advanceTimersByTimeAsync(10);
  expect(first.refused).toEqual([false]);
  expect(events).toMatchObject([{ type: 'verification-failed', error: unclear }]);
});

it('a rejected login that is rejected again in the verification requests new credentials', async () => {
  const { credentials$, events, rotation } = rotating({
    verify: failing,
    isLoginRejected: (error) => error === unclear,
  });
  const first = issueByHand();
  credentials$.next(first.credentials);
  rotation.loginFailed(await rotation.ready(), unclear);
  await vi.advanceTimersByTimeAsync(10);
  expect(first.refused).toEqual([true]);
  expect(events).toMatchObject([{ type: 'refused' }]);
});

it.each<[string, () => Promise<void>, number]>([
  ['refuses connections', failing, 125],
  ['never answers', () => new Promise(() => undefined), 62],
])(
  'a database that %s for ten minutes causes no flood of verifications, and no new credentials',
  async (_title, answer, most) => {
    let [verifications, concurrent, maximum] = [0, 0, 0];
    const { credentials$, events, rotation } = rotating({
      verify: async () => {
        verifications++;
        maximum = Math.max(maximum, ++concurrent);
        // Just below the login timeout of a rotation.
        await Promise.race([answer(), new Promise((resolve) => setTimeout(resolve, 9_999))]).finally(
          () => concurrent--,
        );
        throw unclear;
      },
    });
    const first = issueByHand();
    credentials$.next(first.credentials);
    const generation = await rotation.ready();
    for (let at = 0; at < 600_000; at += 250) {
      rotation.loginFailed(generation, unclear);
      if (at % 500 === 0) rotation.verifyCurrent(generation);
      await vi.advanceTimersByTimeAsync(250);
    }
    expect({ maximum, refused: new Set(first.refused) }).toEqual({ maximum: 1, refused: new Set([false]) });
    // A login is verified every 5 s at most, a statement every 30 s.
    expect(verifications).toBeLessThan(most + 25);
    expect(first.refused.length).toBeLessThanOrEqual(verifications);
    expect(events.map(({ type }) => type)).toEqual(['verification-failed']);
  },
);

it('after failed logins with new credentials, Vault is asked about their lease every 5 s at most', async () => {
  const { credentials$, events } = rotating({ verify: failing });
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
  ['an unclear', unclear, false],
  ['a certain', new Error('refused'), true],
])(
  'after %s rejection of a login: whether the next credentials close idle connections at once',
  async (_title, error, expected) => {
    const userMayBeDropped: boolean[] = [];
    const { credentials$, rotation } = rotating({
      isLoginRejected: (one) => one !== unclear,
      onPublished: (one) => void userMayBeDropped.push(one),
    });
    credentials$.next(issueByHand().credentials);
    rotation.loginFailed(await rotation.ready(), error);
    credentials$.next(issueByHand().credentials);
    await vi.advanceTimersByTimeAsync(10);
    expect(userMayBeDropped).toEqual([expected]);
  },
);

it.each([
  ['can still log in', () => Promise.resolve(), false],
  ['cannot log in', failing, true],
])(
  'a session ends and its user %s: whether the next credentials close idle connections at once',
  async (_title, verify, expected) => {
    const userMayBeDropped: boolean[] = [];
    const { credentials$, rotation } = rotating({
      verify: (credentials) => (credentials === first.credentials ? verify() : Promise.resolve()),
      onPublished: (one) => void userMayBeDropped.push(one),
    });
    const first = issueByHand();
    credentials$.next(first.credentials);
    rotation.sessionEnded(await rotation.ready());
    await vi.advanceTimersByTimeAsync(10);
    expect(first.refused).toEqual([false]);
    credentials$.next(issueByHand().credentials);
    await vi.advanceTimersByTimeAsync(10);
    expect(userMayBeDropped).toEqual([expected]);
  },
);

it('a pool that ends because its login failed verifies nothing', async () => {
  const verify = vi.fn(failing);
  const { credentials$, rotation } = rotating({ verify });
  credentials$.next(issueByHand().credentials);
  rotation.loginFailed(await rotation.ready(), unclear);
  rotation.end();
  await vi.advanceTimersByTimeAsync(10);
  expect(verify).not.toHaveBeenCalled();
});

it('waiting for a replacement can time out, and be repeated', async () => {
  const { credentials$, rotation } = rotating({});
  credentials$.next(issueByHand().credentials);
  const generation = await rotation.ready();
  const waiting = rotation.waitForReplacement(generation, 50);
  await vi.advanceTimersByTimeAsync(60);
  expect(await waiting).toBe(false);
  const again = rotation.waitForReplacement(generation, 50);
  credentials$.next(issueByHand().credentials);
  await vi.advanceTimersByTimeAsync(10);
  expect(await again).toBe(true);
});

it('drain-timeout counts only connections in use', async () => {
  const ended: string[] = [];
  const { credentials$, events, rotation } = rotating({
    usesOf: (connection) => (connection === 'busy' ? 1 : 0),
    end: (connection) => void ended.push(connection),
  });
  credentials$.next(issueByHand().credentials);
  const generation = await rotation.ready();
  for (const connection of ['busy', 'idle']) rotation.connectionOpened(generation, connection);
  credentials$.next(issueByHand().credentials);
  await vi.advanceTimersByTimeAsync(150);
  expect(events).toMatchObject([{ type: 'rotated' }, { type: 'drain-timeout', count: 1 }]);
  expect(ended).toEqual(['busy', 'idle']);
});

it('statements that are denied permanently cause a verification every 30 s, and not less often', async () => {
  const verifiedAt: number[] = [];
  const { credentials$, rotation } = rotating({ verify: async () => void verifiedAt.push(Date.now()) });
  credentials$.next(issueByHand().credentials);
  const generation = await rotation.ready();
  for (let second = 0; second < 600; second++) {
    rotation.verifyCurrent(generation);
    await vi.advanceTimersByTimeAsync(1_000);
  }
  const pauses = verifiedAt.slice(1).map((at, index) => at - (verifiedAt[index] as number));
  expect(Math.max(...pauses)).toBe(30_000);
  expect(verifiedAt.length).toBeLessThan(30);
});

it.each([
  ['another user', () => issueByHand(), {}, { closes: true, ended: ['in use'] }],
  ['the same user', sameUserAgain, {}, { closes: false, ended: [] }],
  [
    'the same user, for a driver that needs the new password',
    sameUserAgain,
    { closesSameUser: true },
    { closes: true, ended: ['in use'] },
  ],
])('credentials of %s: whether connections in use are closed', async (_title, next, driver, expected) => {
  const ended: string[] = [];
  const closes: boolean[] = [];
  const { credentials$, rotation } = rotating({
    ...driver,
    onSuperseded: (_connection, closeAt) => closes.push(closeAt !== undefined),
    end: (connection) => void ended.push(connection),
  });
  const first = issueByHand();
  credentials$.next(first.credentials);
  const generation = await rotation.ready();
  rotation.connectionOpened(generation, 'in use');
  credentials$.next(next(first).credentials);
  await vi.advanceTimersByTimeAsync(150);
  expect({ closes, ended, holds: first.holds }).toEqual({
    closes: [expected.closes],
    ended: expected.ended,
    holds: 1,
  });
  rotation.connectionClosed(generation, 'in use');
  expect(first.holds).toBe(0);
});

it('beforeEnd has 2 s; then the lease is released', async () => {
  const { credentials$, rotation } = rotating({ beforeEnd: () => new Promise(() => undefined) });
  const first = issueByHand();
  credentials$.next(first.credentials);
  (await rotation.ready()).used = true;
  rotation.end();
  await vi.advanceTimersByTimeAsync(1_900);
  expect(first.holds).toBe(1);
  await vi.advanceTimersByTimeAsync(200);
  expect(first.holds).toBe(0);
});

it.each([
  ['newer ones are in use', 2],
  ['the pool has ended', 1],
])('a login of new credentials that succeeds after %s changes nothing', async (_title, place) => {
  const answers: (() => void)[] = [];
  const { credentials$, events, rotation } = rotating({
    verify: () => new Promise((resolve) => answers.push(resolve)),
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
