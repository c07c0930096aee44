import { BehaviorSubject } from 'rxjs';
import { Secret } from '../secret/secret.js';
import type { DatabaseCredentials } from '../engines/database/database-credentials.js';

/** The last moment that a Date can tell. */
const LAST_DATE = 8.64e15;
let serial = 0;

/**
 * Credentials that a test has by itself, in the place of leased ones. No server is asked for them, and they do not
 * expire. Complete the subject at the end: pools end with it. Another user is a rotation.
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
}): BehaviorSubject<DatabaseCredentials> {
  const lease = Object.freeze({
    path: 'fixed',
    issuedAt: new Date(),
    validUntil: new Date(LAST_DATE),
    serial: ++serial,
    tokenSequence: 0,
    renewable: false,
    hold: () => () => undefined,
  });
  const { username, password } = login;
  return new BehaviorSubject<DatabaseCredentials>(
    Object.freeze({ username: new Secret(username), password: new Secret(password), lease }),
  );
}
