// Spring Vault: a rotating secret in a SecretLeaseContainer with a LifecycleAwareSessionManager, with the wiring and
// the settings of Spring Cloud Vault (spring-cloud-vault VaultConfiguration.java:172-202: the container listens to the
// events of the session). Lines of spring-vault at b8fce1d (4.1.0 and 20 commits).
//
// Session (LifecycleAwareSessionManager.java, ...Support.java):
// - Logs in when a token is requested and there is none (:316-358); a login with AppRole needs no look-up (:342).
// - Renews 5 s before the end, at least 1 s from now (Support:51-54, 298-303), without jitter.
// - Any error drops the token, as LeaseStrategy.dropOnError is the default (:267-283; Support:81), and emits an event
//   (:280); so does a renewal that grants 7 s or less (:295-307; Support:262). Nothing is scheduled after it (:386-389).
//
// Container (SecretLeaseContainer.java):
// - Renews 60 s before the end, at least 10 s from now (:186, 192, 1004-1007), without jitter; the increment is the
//   granted TTL (LeaseEndpoints.java:187-192).
// - 400, or 10 s or less granted, means expired: a new secret is issued (:763-770, 776-779, 822-841).
// - Any other error drops the lease: it is reported, and never retried (:788-790 with :194). Reported in
//   spring-cloud/spring-cloud-vault#708 and spring-projects/spring-vault#839 ("retries belong into the HTTP client").
//   The other strategies would come too late: the next attempt is a whole interval later (spring-cloud-vault#958).
// - After a token was dropped all secrets are issued anew, with a new login, once; events within half a second of
//   that are dropped (:1051, 1076-1097, 599-629). If this fails, nothing is retried (:621-623, 751-754).
//
// Kinder: without the look-up of the mount before the first read (KeyValueDelegate.java:111-118). ClientOptions: 5 s to
// connect and 15 s for the answer.
import type { Clock } from '../../../lib/clock/clock.js';
import type { Client, Credential, Instance, Surroundings } from '../instance.js';
import { exchange, Failure, type Answer, type Auth, type Call } from './exchange.js';

const TIMEOUT = 15_000;
const TOKEN_MARGIN = 5;
const TOKEN_EXPIRED = 7;
const LEASE_MARGIN = 60;
const LEASE_MIN = 10;
const RESTARTS_APART = 500;

class SpringVault implements Instance {
  readonly #clock: Clock;
  readonly #surroundings: Surroundings;
  #token: string | undefined;
  #login: Promise<string> | undefined;
  #lease: Answer | undefined;
  #cancelRenewal = () => {};
  #restartedAt = -Infinity;
  #current: Credential | undefined;

  constructor(surroundings: Surroundings) {
    this.#clock = surroundings.clock;
    this.#surroundings = surroundings;
  }

  start(): void {
    void this.#issue();
  }

  current(): Credential | undefined {
    return this.#current;
  }

  get failing(): boolean {
    return this.#lease === undefined || this.#token === undefined;
  }

  // ---------------------------------------------------------------- session

  #sessionToken(): Promise<string> {
    if (this.#token !== undefined) return Promise.resolve(this.#token);
    this.#login ??= this.#logIn().finally(() => {
      this.#login = undefined;
    });
    return this.#login;
  }

  async #logIn(): Promise<string> {
    const { roleId, secretId } = this.#surroundings;
    const body = { role_id: roleId, secret_id: secretId };
    const { auth } = await this.#send({ method: 'POST', path: 'auth/approle/login', body });
    return this.#keepToken(auth);
  }

  #keepToken(auth: Auth | null): string {
    if (!auth) throw new Failure(undefined, 'no token');
    this.#token = auth.client_token;
    const seconds = Math.max(1, auth.lease_duration - TOKEN_MARGIN);
    this.#clock.setTimer(seconds * 1000, () => {
      if (this.#token === auth.client_token) void this.#renewToken(auth.client_token);
    });
    return auth.client_token;
  }

  async #renewToken(token: string): Promise<void> {
    try {
      const { auth } = await this.#send({ method: 'POST', path: 'auth/token/renew-self', token });
      if (auth && auth.lease_duration > TOKEN_EXPIRED) return void this.#keepToken(auth);
    } catch {
      // Any error drops the token, as described above.
    }
    this.#token = undefined;
    this.#restart();
  }

  // ---------------------------------------------------------------- container

  #restart(): void {
    const now = this.#clock.monotonic();
    if (now <= this.#restartedAt + RESTARTS_APART) return;
    this.#restartedAt = now;
    this.#drop();
    void this.#issue();
  }

  #drop(): void {
    this.#lease = undefined;
    this.#cancelRenewal();
  }

  async #issue(): Promise<void> {
    try {
      const token = await this.#sessionToken();
      const lease = await this.#send({ method: 'GET', path: this.#surroundings.path, token });
      this.#current = lease.data as Credential;
      this.#keepLease(lease);
    } catch {
      this.#drop();
    }
  }

  #keepLease(lease: Answer): void {
    this.#cancelRenewal();
    this.#lease = lease;
    const seconds = Math.max(LEASE_MIN, lease.lease_duration - LEASE_MARGIN);
    this.#cancelRenewal = this.#clock.setTimer(seconds * 1000, () => void this.#renewLease(lease));
  }

  async #renewLease(lease: Answer): Promise<void> {
    try {
      const token = await this.#sessionToken();
      const body = { lease_id: lease.lease_id, increment: String(lease.lease_duration) };
      const renewed = await this.#send({ method: 'PUT', path: 'sys/leases/renew', token, body });
      if (this.#lease !== lease) return;
      if (renewed.lease_duration > LEASE_MIN) this.#keepLease(renewed);
      else await this.#issue();
    } catch (error) {
      if (this.#lease !== lease) return;
      if (error instanceof Failure && error.status === 400) await this.#issue();
      else this.#drop();
    }
  }

  #send(call: Omit<Call, 'timeout'>): Promise<Answer> {
    return exchange(this.#surroundings.server, { ...call, timeout: TIMEOUT });
  }
}

export const springVault: Client = {
  id: 'spring-vault',
  name: 'Spring Vault',
  renewsAt: 0.99,
  make: (surroundings) => new SpringVault(surroundings),
};
