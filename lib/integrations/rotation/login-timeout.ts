import { systemClock } from '../../clock/clock.js';
import { withTimeout } from '../../clock/with-timeout.js';

/** Milliseconds that a login may take: a server that accepts a connection may never answer. */
export const LOGIN_TIMEOUT = 10_000;

/**
 * Waits for a login; rejects with the code `ETIMEDOUT` after `limit`.
 *
 * @param limit milliseconds
 */
export function withLoginTimeout<T>(login: Promise<T>, limit = LOGIN_TIMEOUT): Promise<T> {
  const timedOut = () => Object.assign(new Error('The login timed out.'), { code: 'ETIMEDOUT' });
  return withTimeout(login, limit, systemClock, timedOut);
}
