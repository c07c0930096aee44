// The application around clients that only renew: it logs in, issues a credential, and repeats that when the client
// reports that it stops renewing a token or a lease.
//
// - The order (a new token and a new lease when the token's watcher ends, a new lease when the lease's does):
//   hashicorp/hello-vault-go, sample-app/vault_renewal.go:51-75 and 126-135. That sample ends the process where one of
//   the two fails (:53-57); kinder, like HashiCorp's own Agent: it retries after 1 s, then twice as long each time, less
//   up to a quarter at random, 5 minutes at most (openbao/openbao,
//   internal/command/agentproxyshared/auth/auth.go:21-24, 116-131 and 535-543).
// - The Agent switches the client's own retries off for this (auth.go:221-223), so there are none.
// - The sample restarts both watchers when either has ended (:93-118), which adds a renewal of the token; kinder: only
//   the one that has ended.
// - It takes a 403 to the issue for an invalid token, and logs in: kinder than the sample, which ends.
import type { Credential, Surroundings } from '../instance.js';
import { Failure, pause, type Answer, type Auth, type Call } from './exchange.js';

const FIRST_DELAY = 1_000;
const LONGEST_DELAY = 300_000;

export interface Keeping {
  /** Starts to renew a token, and stops renewing the previous one. */
  keepToken(auth: Auth): void;
  /** Starts to renew a lease, and stops renewing the previous one. */
  keepLease(lease: Answer, token: string): void;
}

/** The application's part of an instance, without the library. */
export class Application {
  current: Credential | undefined;
  /** The last login or issue failed. */
  failing = false;
  readonly #surroundings: Surroundings;
  readonly #send: (call: Omit<Call, 'timeout'>) => Promise<Answer>;
  readonly #keeping: Keeping;
  #token: string | undefined;
  #leaseWanted = true;
  #busy = false;

  /** @param send sends one request, without retries */
  constructor(
    surroundings: Surroundings,
    send: (call: Omit<Call, 'timeout'>) => Promise<Answer>,
    keeping: Keeping,
  ) {
    this.#surroundings = surroundings;
    this.#send = send;
    this.#keeping = keeping;
  }

  /** Called when the token is not renewed any longer, or at the start: its leases end with it. */
  tokenEnds(): void {
    this.#token = undefined;
    void this.#act();
  }

  /** Called when the lease is not renewed any longer. */
  leaseEnds(): void {
    this.#leaseWanted = true;
    void this.#act();
  }

  async #act(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    let delay = FIRST_DELAY;
    while (this.#token === undefined || this.#leaseWanted) {
      try {
        if (this.#token === undefined) {
          this.#token = await this.#login();
          delay = FIRST_DELAY;
        }
        await this.#issue(this.#token);
        this.#leaseWanted = false;
        this.failing = false;
      } catch (error) {
        this.failing = true;
        if (error instanceof Failure && error.status === 403) this.#token = undefined;
        this.#leaseWanted = true;
        await pause(this.#surroundings.clock, delay);
        delay = Math.min(delay * 2, LONGEST_DELAY) * (1 - Math.random() / 4);
      }
    }
    this.#busy = false;
  }

  async #login(): Promise<string> {
    const { roleId, secretId } = this.#surroundings;
    const body = { role_id: roleId, secret_id: secretId };
    const { auth } = await this.#send({ method: 'PUT', path: 'auth/approle/login', body });
    if (!auth) throw new Failure(undefined, 'no token');
    this.#keeping.keepToken(auth);
    return auth.client_token;
  }

  async #issue(token: string): Promise<void> {
    const lease = await this.#send({ method: 'GET', path: this.#surroundings.path, token });
    this.current = lease.data as Credential;
    this.#keeping.keepLease(lease, token);
  }
}
