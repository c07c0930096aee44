import type { AuthMethod, LoginContext } from '../auth/auth-method.js';

/** The auth method of one connection: that of its options, or one that this chooses at each login until one succeeds. */
export class AuthInUse {
  readonly #given: AuthMethod;
  #current: AuthMethod;
  #kept = false;

  constructor(given: AuthMethod) {
    this.#given = given;
    this.#current = given;
  }

  /** The method of the last login that began. */
  get current(): AuthMethod {
    return this.#current;
  }

  /** The method of the next login. */
  async choose(context: LoginContext): Promise<AuthMethod> {
    if (this.#kept) return this.#current;
    return (await this.#given.choose?.(context)) ?? this.#given;
  }

  begin(method: AuthMethod): void {
    this.#current = method;
  }

  /** A login has succeeded in time: from now on the connection does not change its identity. */
  keep(): void {
    this.#kept = true;
  }
}
