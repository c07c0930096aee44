import type { Clock } from '../../clock/clock.js';
import { withTimeout } from '../../clock/with-timeout.js';

/** Milliseconds that a login may take: a server that accepts a connection may never answer. */
export const LOGIN_TIMEOUT = 10_000;
/** Real milliseconds for which a virtual clock waits for a server. */
const REAL_LIMIT = 1_000;

/**
 * Waits for a login; rejects with the code `ETIMEDOUT` after `limit`.
 *
 * @param limit milliseconds
 */
export function withLoginTimeout<T>(login: Promise<T>, clock: Clock, limit = LOGIN_TIMEOUT): Promise<T> {
  return withLimit(onServer(login, clock), clock, limit);
}

/** The same for work that is no login. */
export function withLimit<T>(work: Promise<T>, clock: Clock, limit: number): Promise<T> {
  const timedOut = () => Object.assign(new Error('The login timed out.'), { code: 'ETIMEDOUT' });
  return withTimeout(work, limit, clock, timedOut);
}

/** Work on a real server, for which a virtual clock stands still. */
export function onServer<T>(work: Promise<T>, clock: Clock): Promise<T> {
  clock.hold?.(work, REAL_LIMIT);
  return work;
}
