import { map, type Observable } from 'rxjs';
import type { Credentials } from '../../leases/lease.js';
import { toUserCredentials, type UserCredentials } from '../../leases/user-credentials.js';

/**
 * A user name and a password: of a database role, or of any path whose response has `username` and `password`
 * (`rabbitmq/creds/app`, `database/static-creds/app`).
 *
 * @publicApi
 */
export type LoginCredentials = UserCredentials | Credentials;

/** Converts both forms to {@link UserCredentials}. */
export function toLogins(credentials$: Observable<LoginCredentials>): Observable<UserCredentials> {
  return credentials$.pipe(
    map((one) => ('data' in one ? toUserCredentials(one as Credentials<Login>) : one)),
  );
}

interface Login {
  username: string;
  password: string;
}
