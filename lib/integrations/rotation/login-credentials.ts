import { map, type Observable } from 'rxjs';
import type { Credentials } from '../../leases/lease.js';
import {
  toDatabaseCredentials,
  type DatabaseCredentials,
} from '../../engines/database/database-credentials.js';

/**
 * A user name and a password: of a database role, or of any path whose response has `username` and `password`
 * (`rabbitmq/creds/app`, `database/static-creds/app`).
 *
 * @publicApi
 */
export type LoginCredentials = DatabaseCredentials | Credentials;

/** Converts both forms to {@link DatabaseCredentials}. */
export function toLogins(credentials$: Observable<LoginCredentials>): Observable<DatabaseCredentials> {
  return credentials$.pipe(
    map((one) => ('data' in one ? toDatabaseCredentials(one as Credentials<Login>) : one)),
  );
}

interface Login {
  username: string;
  password: string;
}
