import type { DatabaseCredentials } from 'nestjs-vault';
import type { PoolEvent } from 'nestjs-vault/pg';
import { ReplaySubject } from 'rxjs';
import { expect } from 'vitest';
import { issueByHand, pause, until, type Issued } from './driver-load.js';

interface Pool {
  on(event: 'rotation', listener: (event: PoolEvent) => void): unknown;
}

interface Proxied<P extends Pool> {
  open: (credentials$: ReplaySubject<DatabaseCredentials>) => Promise<P>;
  close: (pool: P) => unknown;
  allow: (issued: Issued) => Promise<unknown>;
  /** As the revocation of its lease does. */
  drop: (issued: Issued) => Promise<unknown>;
  /** Makes a connection where there is none, and asks who that is. */
  whoami: (pool: P) => Promise<unknown>;
}

/**
 * A proxy in between has words of its own for a user who is gone. Whatever they are, the server is asked whether the lease
 * lives, and the next credentials are used as ever.
 */
export async function goneBehindProxy<P extends Pool>(
  { open, close, allow, drop, whoami }: Proxied<P>,
  onTestFinished: (done: () => void) => void,
): Promise<void> {
  const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
  const [first, next] = [issueByHand(), issueByHand()];
  await allow(first);
  credentials$.next(first.credentials);
  const pool = await open(credentials$);
  onTestFinished(() => void close(pool));
  const events: PoolEvent[] = [];
  pool.on('rotation', (event) => events.push(event));
  expect(await whoami(pool)).toBe(first.user);
  expect(first.refused).toEqual([]);
  await drop(first);
  await until(() => {
    whoami(pool).catch(() => undefined);
    return first.refused.length > 0;
  }, 5_000);
  await pause(500);
  // No proof of anything, so nothing else is asked for; nor is it asked about all the time.
  expect(new Set(first.refused)).toEqual(new Set([false]));
  expect(first.refused.length).toBeLessThan(3);
  expect(events.map(({ type }) => type)).toEqual(['verification-failed']);
  await allow(next);
  credentials$.next(next.credentials);
  await until(async () => (await whoami(pool).catch(() => undefined)) === next.user);
}
