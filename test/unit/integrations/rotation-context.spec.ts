import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ReplaySubject } from 'rxjs';
import { Reports } from '../../../lib/integrations/rotation/reports.js';
import { Rotation } from '../../../lib/integrations/rotation/rotation.js';
import type { Era } from '../../../lib/integrations/rotation/era.js';
import type { DatabaseCredentials } from '../../../lib/services/credentials.service.js';
import { issueByHand } from '../../support/driver-load.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('a pool proves, drains and reports in the context of no request, whoever made it or met an error', async () => {
  const requests = new AsyncLocalStorage<string>();
  const seen: string[] = [];
  const note = (what: string) => void seen.push(`${what}: ${requests.getStore() ?? 'no request'}`);
  const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
  const [first, next] = [issueByHand(), issueByHand()];
  credentials$.next(first.credentials);
  const rotation = requests.run(
    'maker',
    () =>
      new Rotation<string>(
        credentials$,
        {
          prove: async () => note('prove'),
          refuses: () => false,
          published: () => note('published'),
          superseded: () => note('superseded'),
          leaving: async () => note('leaving'),
          end: () => note('end'),
        },
        { drain: 100, reports: new Reports('test', ({ type }) => note(type)), onEnd: () => undefined },
      ),
  );
  const era = rotation.current as Era<string>;
  requests.run('user', () => {
    rotation.opened(era, 'connection');
    rotation.doubt(era);
  });
  await vi.advanceTimersByTimeAsync(1_000);
  requests.run('source', () => credentials$.next(next.credentials));
  await vi.advanceTimersByTimeAsync(1_000);
  requests.run('user', () => rotation.closed(era, 'connection'));
  Object.assign(rotation.current as object, { used: true });
  requests.run('closer', () => rotation.end());
  await vi.advanceTimersByTimeAsync(1_000);
  const kinds = ['prove', 'prove', 'published', 'superseded', 'rotated', 'drain-timeout', 'end', 'leaving'];
  expect(seen).toEqual(kinds.map((kind) => `${kind}: no request`));
});
