import { VaultError } from '../errors/vault-error.js';
import { Secret } from '../secret/secret.js';
import type { Credentials } from './lease.js';
import type { LeaseInfo } from './lease-info.js';

/**
 * A user name and a password that belong together.
 *
 * @publicApi
 */
export interface UserCredentials {
  readonly username: Secret;
  readonly password: Secret;
  readonly lease: LeaseInfo;
}

/** The members of an answer that has a user name and a password. */
export interface UserData {
  username: string;
  password: string;
}

/** Wraps the user name and the password of an answer. */
export function toUserCredentials({ data, lease }: Credentials<UserData>): UserCredentials {
  const { username, password } = data.reveal();
  if (!isUserData({ username, password })) {
    throw new VaultError({
      code: 'VAULT_RESPONSE_INVALID',
      message: `The response of ${lease.path} has no user name and password.`,
      hint: 'Use watch(path) for secrets of another form, or correct the role and its `mount`.',
      path: lease.path,
    });
  }
  return Object.freeze({ username: new Secret(username), password: new Secret(password), lease });
}

/** Whether the data has a user name and a password. */
export function isUserData(data: object): data is UserData {
  const { username, password } = data as Record<string, unknown>;
  return [username, password].every((text) => typeof text === 'string' && text !== '');
}
