import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { systemClock } from '../../../lib/clock/clock.js';
import type { EventInit } from '../../../lib/events/events.js';
import { PoolEvents } from '../../../lib/integrations/rotation/pool-events.js';
import type { PoolEvent } from '../../../lib/integrations/rotation/rotation-driver.js';
import { LINK, type ConnectionLink } from '../../../lib/leases/connection-link.js';
import { issueByHand } from '../../support/driver-load.js';
import { rotating } from './rotating.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const unreachable = Object.assign(new Error('canary-of-a-message'), { code: '08006' });
const failing = () => Promise.reject(unreachable);

it('a second outage of the database is reported, too', async () => {
  const { credentials$, events, rotation } = rotating({ verify: failing });
  credentials$.next(issueByHand().credentials);
  const generation = await rotation.ready();
  for (const pause of [0, 10_000, 61_000, 10_000]) {
    await vi.advanceTimersByTimeAsync(pause);
    rotation.loginFailed(generation, unreachable);
    await vi.advanceTimersByTimeAsync(10);
  }
  expect(events.map(({ type }) => type)).toEqual(['verification-failed', 'verification-failed']);
});

it('if Vault cannot be asked about a failed login, the next failure asks again', async () => {
  const { credentials$, rotation } = rotating({ verify: failing });
  const first = issueByHand();
  const refused = vi.fn(() => Promise.reject(new Error('closed')));
  Object.assign(first.credentials.lease, { reportRejected: refused });
  credentials$.next(first.credentials);
  const generation = await rotation.ready();
  for (let times = 0; times < 2; times++) {
    rotation.loginFailed(generation, unreachable);
    await vi.advanceTimersByTimeAsync(5_000);
  }
  expect(refused).toHaveBeenCalledTimes(2);
});

it('a failure of earlier credentials verifies nothing, and reports nothing', async () => {
  let fail: (error: Error) => void = () => undefined;
  const answers = [() => new Promise<void>((_resolve, reject) => (fail = reject)), () => Promise.resolve()];
  const verify = vi.fn(() => (answers.shift() ?? failing)());
  const { credentials$, events, rotation } = rotating({ verify });
  const first = issueByHand();
  credentials$.next(first.credentials);
  const generation = await rotation.ready();
  rotation.loginFailed(generation, unreachable);
  await vi.advanceTimersByTimeAsync(10);
  credentials$.next(issueByHand().credentials);
  await vi.advanceTimersByTimeAsync(10);
  fail(unreachable);
  rotation.loginFailed(generation, unreachable);
  await vi.advanceTimersByTimeAsync(60_000);
  rotation.loginFailed(generation, unreachable);
  await vi.advanceTimersByTimeAsync(10);
  expect(verify).toHaveBeenCalledTimes(2);
  expect(events.map(({ type }) => type)).toEqual(['rotated']);
  expect(first.refused).toEqual([]);
});

it('after a denied statement the next credentials close idle connections at once', async () => {
  const userMayBeDropped: boolean[] = [];
  const { credentials$, rotation } = rotating({ onPublished: (one) => void userMayBeDropped.push(one) });
  credentials$.next(issueByHand().credentials);
  rotation.verifyCurrent(await rotation.ready());
  credentials$.next(issueByHand().credentials);
  await vi.advanceTimersByTimeAsync(10);
  expect(userMayBeDropped).toEqual([true]);
});

it('after an outage new credentials are tried every 2 s, however long it lasted', async () => {
  const attempts: number[] = [];
  const { credentials$ } = rotating({
    verify: () => {
      attempts.push(Date.now());
      return failing();
    },
  });
  for (let times = 0; times < 2; times++) credentials$.next(issueByHand().credentials);
  await vi.advanceTimersByTimeAsync(600_000);
  const pauses = attempts.slice(1).map((at, index) => at - (attempts[index] as number));
  expect(Math.max(...pauses)).toBe(2_000);
});

it('the metric of overdue connections counts each of them', async () => {
  const { credentials$, poolEvents, rotation } = rotating({});
  credentials$.next(issueByHand().credentials);
  const generation = await rotation.ready();
  for (const name of ['one', 'two']) rotation.connectionOpened(generation, name);
  credentials$.next(issueByHand().credentials);
  await vi.advanceTimersByTimeAsync(150);
  expect(poolEvents.counters).toMatchObject({ rotated: 1, 'drain-timeout': 2 });
});

const leaseOf = (path: string) => issueByHand(path).credentials.lease;

it('an event for an operator has the code of an error, never its message; hand-made credentials have only a listener', () => {
  const emitted: EventInit[] = [];
  const told: object[] = [];
  const link: ConnectionLink = {
    clock: systemClock,
    emit: (event) => emitted.push(event),
    poolEvent: (event) => told.push(event),
    addPool: () => () => undefined,
    whenPoolsUse: () => Promise.resolve(),
    poolChanged: () => undefined,
  };
  const heard: PoolEvent[] = [];
  const events = new PoolEvents('pg', (event) => heard.push(event));
  events.emit(Object.defineProperty(leaseOf('database/creds/a'), LINK, { value: link }), {
    type: 'verification-failed',
    error: unreachable,
  });
  events.emit(leaseOf('database/creds/b'), { type: 'refused' });
  expect(emitted).toMatchObject([
    { type: 'pool-warning', pool: 'pg', path: 'database/creds/a', reason: 'verification-failed' },
  ]);
  expect(told).toEqual([
    {
      driver: 'pg',
      path: 'database/creds/a',
      serial: expect.any(Number),
      type: 'verification-failed',
      count: 1,
    },
  ]);
  const [{ message = '' }] = emitted as { message?: string }[] as [{ message?: string }];
  expect(message).toContain('08006');
  expect(message).not.toContain('canary');
  expect(heard.map(({ type, path }) => `${type} ${path}`)).toEqual([
    'verification-failed database/creds/a',
    'refused database/creds/b',
  ]);
});

it('a listener that throws is reported by itself, and disturbs no rotation', () => {
  const thrown: (() => void)[] = [];
  vi.spyOn(globalThis, 'queueMicrotask').mockImplementation((work) => void thrown.push(work));
  const events = new PoolEvents('test', () => {
    throw new Error('of the listener');
  });
  expect(() => events.emit(leaseOf('database/creds/a'), { type: 'refused' })).not.toThrow();
  expect(thrown).toHaveLength(1);
  expect(thrown[0]).toThrow('of the listener');
});
