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
  /** Removes the user, as the revocation of its lease does. */
  drop: (issued: Issued) => Promise<unknown>;
  /** Makes a connection if there is none, and returns its user. */
  whoami: (pool: P) => Promise<unknown>;
}

/**
 * A proxy reports a removed user in words of its own. For any words, the pool looks up the lease at the server, and
 * uses the next credentials as usual.
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
  // The proxy's words prove nothing, so no new lease is issued; and look-ups are limited in number.
  expect(new Set(first.refused)).toEqual(new Set([false]));
  expect(first.refused.length).toBeLessThan(3);
  expect(events.map(({ type }) => type)).toEqual(['verification-failed']);
  await allow(next);
  credentials$.next(next.credentials);
  await until(async () => (await whoami(pool).catch(() => undefined)) === next.user);
}
