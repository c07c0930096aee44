import { Subject } from 'rxjs';
import { expect, it } from 'vitest';
import type { VaultEvent } from '../../../lib/index.js';
import { logEvents } from '../../../lib/events/log-events.js';

it('a lease that replaces another one is logged with its own number', () => {
  const events$ = new Subject<VaultEvent>();
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  logEvents(events$, { debug: write, info: write, warn: write, error: write });
  const at = new Date(0);
  const lease = { connection: 'default', at, path: 'database/creds/app', validUntil: at };
  events$.next({ ...lease, type: 'issued', serial: 2, renewable: true });
  events$.next({ ...lease, type: 'rotated', serial: 2, reason: 'max-ttl' });
  expect(lines).toEqual([
    '[default] database/creds/app: issued, lease 2 until 1970-01-01T00:00:00.000Z',
    '[default] database/creds/app: rotated (max-ttl), lease 2 until 1970-01-01T00:00:00.000Z',
  ]);
});
