/**
 * A user of the directory behind a simulated server.
 *
 * @publicApi
 */
export interface SimulatedUser {
  /** Password; for `github` the personal access token. */
  password: string;
  /** Groups of LDAP and Okta; teams and organisations of GitHub. */
  groups?: readonly string[];
}

/**
 * The directory that the methods `ldap`, `radius`, `okta` and `github` of a simulated server ask, at each login and at
 * each renewal.
 *
 * @publicApi
 */
export class SimulatedDirectory {
  /** Users by name. */
  readonly users = new Map<string, SimulatedUser>();
  /** Whether the server cannot reach it. */
  down = false;

  /** @internal */
  find(name: string, password: string): SimulatedUser | undefined {
    const user = this.users.get(name);
    return user?.password === password ? user : undefined;
  }
}
