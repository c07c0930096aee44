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
  expect(events).toMatchObject([{ type: 'proof-failed', error: { code: 'ETIMEDOUT' } }, { type: 'rotated' }]);
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
  expect(events).toMatchObject([{ type: 'rotated' }, { type: 'stragglers', count: 1 }]);
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
