import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ReplaySubject } from 'rxjs';
import { Rotation } from '../../../lib/integrations/rotation/rotation.js';
import type { PoolEvent, RotationDriver } from '../../../lib/integrations/rotation/rotation-driver.js';
import type { DatabaseCredentials } from '../../../lib/services/credentials.service.js';
import { issueByHand } from '../../support/driver-load.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A pool whose connections are texts, and which logs in as it is told to. */
function rotating(driver: Partial<RotationDriver<string>>) {
  const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
  const events: PoolEvent[] = [];
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
    { drain: 100, report: (event) => events.push(event), onEnd: () => undefined },
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
