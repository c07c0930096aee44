import { systemClock } from '../../clock/clock.js';
import { within } from '../../clock/within.js';

/** Milliseconds that a login may take: what accepts a connection need not ever answer. */
export const LOGIN_TIMEOUT = 10_000;

/** Waits for a login, no longer than {@link LOGIN_TIMEOUT}. */
export function inTime<T>(login: Promise<T>): Promise<T> {
  const late = () =>
    Object.assign(new Error('There was no answer to the login in time.'), { code: 'ETIMEDOUT' });
  return within(login, LOGIN_TIMEOUT, systemClock, late);
}
