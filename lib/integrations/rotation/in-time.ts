import { systemClock } from '../../clock/clock.js';
import { within } from '../../clock/within.js';

/** Milliseconds that a login may take: what accepts a connection need not ever answer. */
export const LOGIN_TIMEOUT = 10_000;

/**
 * Waits for a login.
 *
 * @param limit milliseconds
 */
export function inTime<T>(login: Promise<T>, limit = LOGIN_TIMEOUT): Promise<T> {
  const late = () =>
    Object.assign(new Error('There was no answer to the login in time.'), { code: 'ETIMEDOUT' });
  return within(login, limit, systemClock, late);
}
