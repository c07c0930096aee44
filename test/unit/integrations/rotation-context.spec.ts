import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ReplaySubject } from 'rxjs';
import { PoolEvents } from '../../../lib/integrations/rotation/pool-events.js';
import { Rotation } from '../../../lib/integrations/rotation/rotation.js';
import type { PoolGeneration } from '../../../lib/integrations/rotation/pool-generation.js';
import type { UserCredentials } from '../../../lib/leases/user-credentials.js';
import { issueByHand } from '../../support/driver-load.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('a pool verifies, drains and reports outside the context of any request', async () => {
  const requests = new AsyncLocalStorage<string>();
  const seen: string[] = [];
  const note = (what: string) => void seen.push(`${what}: ${requests.getStore() ?? 'no request'}`);
  const credentials$ = new ReplaySubject<UserCredentials>(1);
  const [first, next] = [issueByHand(), issueByHand()];
  credentials$.next(first.credentials);
  const rotation = requests.run(
    'maker',
    () =>
      new Rotation<string>(
        credentials$,
        {
          verify: async () => note('verify'),
          isLoginRejected: () => false,
          onPublished: () => note('published'),
          onSuperseded: () => note('superseded'),
          beforeEnd: async () => note('beforeEnd'),
          end: () => note('end'),
        },
        { drain: 100, events: new PoolEvents('test', ({ type }) => note(type)), onEnd: () => undefined },
      ),
  );
  const generation = rotation.current as PoolGeneration<string>;
  requests.run('user', () => {
    rotation.connectionOpened(generation, 'connection');
    rotation.verifyCurrent(generation);
  });
  await vi.advanceTimersByTimeAsync(1_000);
  requests.run('source', () => credentials$.next(next.credentials));
  await vi.advanceTimersByTimeAsync(1_000);
  requests.run('user', () => rotation.connectionClosed(generation, 'connection'));
  Object.assign(rotation.current as object, { used: true });
  requests.run('closer', () => rotation.end());
  await vi.advanceTimersByTimeAsync(1_000);
  const kinds = [
    'verify',
    'verify',
    'published',
    'superseded',
    'rotated',
    'drain-timeout',
    'end',
    'beforeEnd',
  ];
  expect(seen).toEqual(kinds.map((kind) => `${kind}: no request`));
});
