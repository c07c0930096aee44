import { BehaviorSubject } from 'rxjs';
import { systemClock } from '../clock/clock.js';
import { Secret } from '../secret/secret.js';
import type { UserCredentials } from '../leases/user-credentials.js';

/** Latest time of a Date. */
const LAST_DATE = 8.64e15;
let serial = 0;

/**
 * Creates fixed credentials that replace leased ones in a test. No server is involved, and they do not expire. Emitting
 * another user is a rotation. Complete the subject at the end: pools close with it.
 *
 * @example
 * const credentials$ = fixedCredentials({ username: 'ci', password: 'ci-password' });
 * const app = await Test.createTestingModule({ imports: [AppModule] })
 *   .overrideProvider(getCredentialsToken('orders'))
 *   .useValue(credentials$)
 *   .compile();
 * credentials$.next(fixedCredentials({ username: 'ci2', password: 'ci2-password' }).value); // rotates
 * credentials$.complete();
 * await app.close();
 *
 * @publicApi
 */
export function fixedCredentials(login: {
  username: string;
  password: string;
}): BehaviorSubject<UserCredentials> {
  const lease = Object.freeze({
    path: 'fixed',
    issuedAt: new Date(systemClock.wall()),
    validUntil: new Date(LAST_DATE),
    serial: ++serial,
    tokenSequence: 0,
    renewable: false,
    hold: () => () => undefined,
  });
  const { username, password } = login;
  return new BehaviorSubject<UserCredentials>(
    Object.freeze({ username: new Secret(username), password: new Secret(password), lease }),
  );
}
