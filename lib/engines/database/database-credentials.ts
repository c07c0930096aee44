import { barePath, encodeMount, encodeSegment } from '../../client/path.js';
import { VaultError } from '../../errors/vault-error.js';
import type { Credentials, LeaseInfo } from '../../leases/lease.js';
import { Secret } from '../../secret/secret.js';

/**
 * A user name and a password that belong together.
 *
 * @publicApi
 */
export interface DatabaseCredentials {
  readonly username: Secret;
  readonly password: Secret;
  readonly lease: LeaseInfo;
}

export interface DatabaseData {
  username: string;
  password: string;
}

/** Wraps the two members of every answer of a database engine. */
export function toDatabaseCredentials({ data, lease }: Credentials<DatabaseData>): DatabaseCredentials {
  const { username, password } = data.reveal();
  if (!isLogin({ username, password })) {
    throw new VaultError({
      code: 'VAULT_RESPONSE_INVALID',
      message: `The response of ${lease.path} has no user name and password.`,
      hint: 'Use watch(path) for secrets of other engines, or correct the mount of the database engine.',
      path: lease.path,
    });
  }
  return Object.freeze({ username: new Secret(username), password: new Secret(password), lease });
}

/** The path at which credentials of a database role are issued: checked, not encoded. */
export function databasePath(role: string, mount = 'database'): string {
  encodeMount(mount);
  encodeSegment(role, 'role');
  return `${barePath(mount)}/creds/${role}`;
}

/** Whether the data has a user name and a password. */
export function isLogin(data: object): data is DatabaseData {
  const { username, password } = data as Record<string, unknown>;
  return [username, password].every((text) => typeof text === 'string' && text !== '');
}
