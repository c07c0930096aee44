import type { Sender } from '../client/transport.types.js';
import { systemClock, type Clock } from '../clock/clock.js';
import { MountRegistry } from './backends/mount-registry.js';
import { InProcessSender } from './http/in-process-sender.js';
import { Listener, type ServerCertificate } from './http/listener.js';
import { warnInProduction } from './production.js';
import type { SimulatedCloud } from './server/cloud.js';
import type { SimulatedDirectory } from './server/directory.js';
import type { RequestSelector } from './server/faults.js';
import type { NodeState } from './server/node-status.js';
import type { RateLimit } from './server/rate-limits.js';
import { matcher, type HistoryEntry, type RequestMatcher } from './server/request-log.js';
import type { RunSql } from './server/server-context.js';
import { ServerState } from './server/server-state.js';
import { SimulatedNamespace } from './simulated-namespace.js';
import { noAnswerTo } from './unhandled-requests.js';

/**
 * One lease, as listed by {@link SimulatedVault.liveLeases}.
 *
 * @publicApi
 */
export interface LiveLease {
  readonly id: string;
  /** Path of the request that created it, such as `database/creds/app`. */
  readonly path: string;
  /** Milliseconds until its own end; its token may end earlier. */
  readonly left: number;
  /** Number of the token that created it, as in the history. */
  readonly token: number;
}

/**
 * Options of a {@link SimulatedVault}.
 *
 * @publicApi
 */
export interface SimulatedVaultOptions {
  /** Clock of the server: a `VirtualClock` in tests (default: the system clock). */
  clock?: Clock;
  /** Product whose answers it imitates: OpenBao 2.7.2 (default) or Vault 1.21.4. */
  dialect?: 'openbao' | 'vault';
  /** Default `root`. */
  rootToken?: string;
  /**
   * Runs one SQL statement on a database of the test, so that the statements of database roles create and drop real
   * users. The statements take no virtual time; one timer of the clock drops users at their deadline. If the function
   * rejects, the server answers as it does when its database fails.
   */
  sql?: RunSql;
}

/**
 * A Vault or OpenBao server for tests. It gives the recorded answers of real servers, fails on demand, takes its time
 * from the clock of the test, and keeps a history of its requests.
 *
 * It supports AppRole, userpass, client certificates and other auth methods, tokens, leases, database roles (dynamic and static), KV 1 and 2, cubbyholes, policies, namespaces
 * (OpenBao), response wrapping, rate limits, and the states of a node. At the start, `secret/` is a KV engine of
 * version 2, and the token `root` has all rights. API requests can set up everything, too.
 *
 * Times of its controls are milliseconds; durations of roles and tokens are seconds or texts like `'5m'`. If `NODE_ENV`
 * is `production`, the first server of the process emits a warning (`process.emitWarning`).
 *
 * @example
 * const clock = new VirtualClock();
 * const vault = new SimulatedVault({ clock });
 * vault.databaseRole('orders', { defaultTtl: '1h', maxTtl: '24h' });
 * const { roleId, secretId } = vault.appRole('orders');
 *
 * @publicApi
 */
export class SimulatedVault extends SimulatedNamespace {
  readonly #server: ServerState;
  readonly #mounts: MountRegistry;
  readonly #listeners = new Set<Listener>();

  constructor(options: SimulatedVaultOptions = {}) {
    warnInProduction();
    const { clock = systemClock, dialect = 'openbao', rootToken = 'root', sql } = options;
    const server = new ServerState({ clock, dialect, rootToken, sql });
    const mounts = new MountRegistry(server);
    super(server, mounts, server.root);
    mounts.mountDefaults(server.root);
    this.kv();
    this.#server = server;
    this.#mounts = mounts;
  }

  /** Clock of the server. */
  get clock(): Clock {
    return this.#server.clock;
  }

  /** The clouds that the methods `aws`, `gcp` and `azure` ask. */
  get cloud(): SimulatedCloud {
    return this.#server.cloud;
  }

  /** The namespace with this path (`team` or `team/sub`), created if missing. The dialect `vault` ignores namespaces. */
  namespace(path: string): SimulatedNamespace {
    const full = `${path.replace(/^\/|\/$/g, '')}/`;
    const namespace = this.#server.namespaces.get(full) ?? this.#mounts.addNamespace(full);
    return new SimulatedNamespace(this.#server, this.#mounts, namespace);
  }

  /** The directory that the auth methods `ldap`, `radius`, `okta` and `github` ask. */
  get directory(): SimulatedDirectory {
    return this.#server.directory;
  }

  // ---------------------------------------------------------------- connections

  /**
   * Creates a sender that replaces the network for a client in the same process.
   *
   * @param options.source source address of the requests (default 127.0.0.1)
   * @param options.certificate reads the client certificate of the connection, as PEM (default: there is none)
   */
  transport(options: { source?: string; certificate?: () => string | undefined } = {}): Sender {
    return new InProcessSender(this.#server, options.source ?? '127.0.0.1', options.certificate);
  }

  /**
   * Listens on a port of 127.0.0.1 and resolves with the address. `VirtualClock.advance` does not wait for requests
   * over a port. Applications that use the port log a warning that the server is simulated.
   *
   * @param options the port, or:
   * @param options.port default 0: any free port
   * @param options.tls certificate and key of the server, as PEM: it speaks TLS (default: HTTP). Clients are asked for a
   * certificate, which the auth method `cert` verifies; requests without one are served, too
   */
  async listen(options: number | { port?: number; tls?: ServerCertificate } = {}): Promise<string> {
    const { port = 0, tls } = typeof options === 'number' ? { port: options } : options;
    const listener = new Listener(this.#server, tls);
    const address = await listener.listen(port);
    this.#listeners.add(listener);
    return address;
  }

  /** Closes all listeners and their connections. */
  async close(): Promise<void> {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    this.#server.time.close();
    await Promise.all(listeners.map((listener) => listener.close()));
  }

  // ---------------------------------------------------------------- states and faults

  /** Seals the server: nearly all requests get 503, and nothing expires until {@link unseal}. */
  seal(): void {
    this.#server.time.expire();
    this.#server.node.sealed = true;
  }

  /** Unseals the server; tokens and leases that were due meanwhile end now. */
  unseal(): void {
    this.#server.node.sealed = false;
    this.#server.time.expire();
  }

  /**
   * Makes the node a standby that does not forward requests, or the active node again.
   *
   * @param options.leader address to which requests are redirected (307); without it they get 500, no leader known
   */
  standby(on = true, options: { leader?: string } = {}): void {
    this.#server.node.standby = on ? { leader: options.leader } : undefined;
  }

  /**
   * Sets the state of the node, as `sys/health` reports it: `dr-secondary` (472; requests with a token get 400),
   * `performance-standby` (473; requests are served), `uninitialized` (501; the node is sealed, too), or `active` again.
   * In the state `active` the node reports {@link seal} (503) and {@link standby} (429).
   *
   * @throws Error for `dr-secondary` and `performance-standby` with the dialect `openbao`: they exist in Vault Enterprise only
   */
  health(state: NodeState): void {
    if (!this.#server.vault && (state === 'dr-secondary' || state === 'performance-standby'))
      throw new Error(`OpenBao has no state ${state}. Use new SimulatedVault({ dialect: 'vault' }).`);
    this.#server.time.expire();
    this.#server.node.state = state;
    this.#server.time.expire();
  }

  /**
   * Answers like a performance standby of Vault Enterprise that is `milliseconds` behind: each write has an index
   * (`X-Vault-Index`), and a request that requires an index which is newer than that is refused (412).
   *
   * @throws Error with the dialect `openbao`, which has no performance standbys with an index
   */
  replicationDelay(milliseconds: number): void {
    if (!this.#server.vault)
      throw new Error("OpenBao has no such index. Use new SimulatedVault({ dialect: 'vault' }).");
    this.#server.replication.delay = milliseconds;
  }

  /**
   * Makes the database behind the server unreachable, or reachable again. Meanwhile issues fail (500), renewals of leases
   * fail (400), and users outlive their lease: the server tries to drop them six times, after 10 s, 20 s, 40 s…
   */
  databaseDown(down = true): void {
    this.#server.database.down = down;
  }

  /** Limits the rate of requests. A limit replaces an earlier one of the same name; a rate of 0 refuses all requests. */
  rateLimit(limit: RateLimit, name = 'simulated'): () => void {
    const { quotas } = this.#server.rateLimits;
    quotas.set(name, { ...limit });
    return () => quotas.delete(name);
  }

  /** Revokes a lease by its id, or all leases below a path (`database/creds/app`). Returns their number. */
  revokeLease(idOrPath: string): number {
    this.#server.time.expire();
    const { leases } = this.#server;
    const lease = leases.find(idOrPath);
    const ending = lease ? [lease] : leases.below(`${idOrPath.replace(/\/$/, '')}/`);
    for (const one of ending) leases.end(one);
    return ending.length;
  }

  /**
   * Revokes all leases, also those that requests in progress create, and resolves when their users are dropped. Close
   * the server first.
   *
   * @throws Error with the path of each lease whose user could not be dropped, and the reason
   */
  async revokeAllLeases(): Promise<void> {
    const failed = await this.#server.leases.endAll();
    if (failed.length === 0) return;
    const reasons = failed.map(({ lease, reason }) => `${lease.init.path}: ${reason}`);
    throw new Error(`${failed.length} lease(s) could not be revoked: ${reasons.join('; ')}`);
  }

  /** Revokes a token, given by its id, accessor or number in the history, with its leases and child tokens. */
  revokeToken(token: string | number): boolean {
    this.#server.time.expire();
    const { tokens } = this.#server;
    const found =
      typeof token === 'number'
        ? [...tokens.all()].find(({ number }) => number === token)
        : (tokens.find(token) ?? tokens.findAccessor(token));
    if (found) tokens.revoke(found);
    return found !== undefined;
  }

  /** Removes all tokens except root tokens, and their leases, as the restore of an old snapshot does. */
  revokeAllTokens(): void {
    const { tokens } = this.#server;
    // A Map may lose entries during iteration.
    for (const token of tokens.all()) if (!token.root) tokens.revoke(token);
  }

  /**
   * Delays answers by this many milliseconds of the clock.
   *
   * @param options.before delays the work, too: a request that is aborted has no effect (default: only the answer is late)
   * @returns a function that ends the fault, as for all faults
   */
  delay(milliseconds: number, selector?: RequestSelector, options: { before?: boolean } = {}): () => void {
    return this.#server.faults.add(
      { kind: 'delay', milliseconds, before: options.before === true },
      selector,
    );
  }

  /** Does the work, then closes the connection before the answer (default: for the next request). */
  dropResponse(selector: RequestSelector = 1): () => void {
    return this.#server.faults.add({ kind: 'drop' }, selector);
  }

  /** Refuses the connection before any work is done (default: for the next request). */
  cut(selector: RequestSelector = 1): () => void {
    return this.#server.faults.add({ kind: 'cut' }, selector);
  }

  /**
   * Gives this answer and does no work (default: for the next request).
   *
   * @param body an object is sent as JSON, a text unchanged
   */
  answer(
    status: number,
    body?: unknown,
    selector: RequestSelector = 1,
    headers: Record<string, string> = { 'content-type': 'application/json' },
  ): () => void {
    return this.#server.faults.add({ kind: 'answer', status, body, headers }, selector);
  }

  /** Ends all faults and rate limits. */
  clearFaults(): void {
    this.#server.faults.clear();
    this.#server.rateLimits.quotas.clear();
  }

  // ---------------------------------------------------------------- history and live objects

  /** Requests that reached the server, oldest first; of more than 200,000 the older half is dropped. */
  get history(): readonly HistoryEntry[] {
    return this.#server.log.entries;
  }

  /** Entries of the history that match. */
  requests(match: RequestMatcher): HistoryEntry[] {
    return this.history.filter(matcher(match));
  }

  /** Number of requests in the history that match (default: all requests). */
  count(match?: RequestMatcher): number {
    return match === undefined ? this.history.length : this.requests(match).length;
  }

  /** Clears the history and {@link unhandledRequests}. */
  clearHistory(): void {
    this.#server.log.clear();
  }

  /**
   * Requests for paths that are not mounted, or that the simulation does not support, such as `GET /v1/transit/keys/x`.
   * They get the server's own 403, 404 or 405, whatever the policies allow; `VaultTestingModule` makes `app.close()`
   * reject for them.
   */
  get unhandledRequests(): readonly string[] {
    return this.#server.log.unhandled;
  }

  /**
   * Check for `afterEach` of tests without `VaultTestingModule`.
   *
   * @throws Error with method and path of all {@link unhandledRequests} since the last {@link clearHistory}
   */
  assertExpected(): void {
    if (this.unhandledRequests.length > 0) throw noAnswerTo(this.unhandledRequests);
  }

  /** Leases that exist now, in the order of their creation. */
  get liveLeases(): readonly LiveLease[] {
    this.#server.time.expire();
    return [...this.#server.leases.all()].map(({ id, init, expires }) => ({
      id,
      path: init.path,
      left: expires - this.#server.time.now,
      token: init.token.number,
    }));
  }

  /** Number of leases that exist now. */
  get leaseCount(): number {
    this.#server.time.expire();
    return this.#server.leases.size;
  }

  /** Number of tokens that exist now, including the root token. */
  get tokenCount(): number {
    this.#server.time.expire();
    return this.#server.tokens.size;
  }

  /** Names of the database users that exist now. */
  get liveUsers(): readonly string[] {
    this.#server.time.expire();
    return [...this.#server.database.users.keys()];
  }

  /** Whether the database accepts this user now. */
  isValid(username: string, password: string): boolean {
    this.#server.time.expire();
    const user = this.#server.database.users.get(username);
    return user !== undefined && user.password === password && user.expires() > this.#server.time.now;
  }
}
