import type { Sender } from '../client/transport.types.js';
import { systemClock, type Clock } from '../clock/clock.js';
import { MountRegistry } from './backends/mount-registry.js';
import { InProcessSender } from './http/in-process-sender.js';
import { Listener } from './http/listener.js';
import { warnInProduction } from './production.js';
import type { RequestSelector } from './server/faults.js';
import type { NodeState } from './server/node-status.js';
import type { RateLimit } from './server/rate-limits.js';
import { matcher, type HistoryEntry, type RequestMatcher } from './server/request-log.js';
import type { RunSql } from './server/server-context.js';
import { ServerState } from './server/server-state.js';
import { SimulatedNamespace } from './simulated-namespace.js';
import { noAnswerTo } from './unhandled-requests.js';

/**
 * One lease as `SimulatedVault.liveLeases` tells it.
 *
 * @publicApi
 */
export interface LiveLease {
  readonly id: string;
  /** Where it was made, as `database/creds/app`. */
  readonly path: string;
  /** Milliseconds that it has left by itself; the token may end before. */
  readonly left: number;
  /** Number of the token that made it, as in the history. */
  readonly token: number;
}

/**
 * Options of a {@link SimulatedVault}.
 *
 * @publicApi
 */
export interface SimulatedVaultOptions {
  /** Its time: a `VirtualClock` in tests (default: the real clock). */
  clock?: Clock;
  /** Whose words it answers in: OpenBao 2.7.2 (default) or Vault 1.21.4. */
  dialect?: 'openbao' | 'vault';
  /** Default `root`. */
  rootToken?: string;
  /**
   * Runs one SQL statement on a database of yours: creation, renewal and revocation statements of database roles then
   * really make and drop users. What it does takes no virtual time; one timer of the clock drops users at their time.
   * Where it rejects, the server answers as it does when its database fails.
   */
  sql?: RunSql;
}

/**
 * A Vault or OpenBao server for tests: it answers what real ones were recorded to answer, fails on demand, keeps time
 * by a clock that the test moves, and remembers what it was asked.
 *
 * It has AppRole, tokens, leases, database roles (dynamic and static), KV 1 and 2, cubbyholes, policies, namespaces
 * (OpenBao), response wrapping, rate limits, and the states of a node. `secret/` is a KV engine of version 2 from
 * the start, and the token `root` may do everything. Everything can be set up by API requests, too.
 *
 * All times of its controls are milliseconds; durations of roles and tokens are seconds or texts like `'5m'`. Where
 * `NODE_ENV` is `production`, the first one warns (`process.emitWarning`).
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

  /** The clock it keeps time by. */
  get clock(): Clock {
    return this.#server.clock;
  }

  /** A namespace, made where there is none (`team`, or `team/sub`). The dialect `vault` takes no notice of namespaces. */
  namespace(path: string): SimulatedNamespace {
    const full = `${path.replace(/^\/|\/$/g, '')}/`;
    const namespace = this.#server.namespaces.get(full) ?? this.#mounts.addNamespace(full);
    return new SimulatedNamespace(this.#server, this.#mounts, namespace);
  }

  // ---------------------------------------------------------------- ways to reach it

  /**
   * What takes the place of the network for a client in the same process; each call makes a new one.
   *
   * @param options.source the address that requests seem to come from (default 127.0.0.1)
   */
  transport(options: { source?: string } = {}): Sender {
    return new InProcessSender(this.#server, options.source ?? '127.0.0.1');
  }

  /**
   * Listens on a port of 127.0.0.1, and resolves with the address. With a `VirtualClock` requests over a port are
   * answered, but `advance` does not wait for them.
   *
   * @param port default 0: any that is free
   */
  async listen(port = 0): Promise<string> {
    const listener = new Listener(this.#server);
    const address = await listener.listen(port);
    this.#listeners.add(listener);
    return address;
  }

  /** Ends all that listens, cutting connections. */
  async close(): Promise<void> {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    this.#server.time.close();
    await Promise.all(listeners.map((listener) => listener.close()));
  }

  // ---------------------------------------------------------------- states and faults

  /** Seals it: 503 to nearly everything, and nothing ends at its time until it is unsealed. */
  seal(): void {
    this.#server.time.expire();
    this.#server.node.sealed = true;
  }

  /** Unseals it; what was due meanwhile ends now. */
  unseal(): void {
    this.#server.node.sealed = false;
    this.#server.time.expire();
  }

  /**
   * Makes it a standby that does not forward, or the active node again.
   *
   * @param options.leader address that requests are redirected to (307); without it: 500, no leader known
   */
  standby(on = true, options: { leader?: string } = {}): void {
    this.#server.node.standby = on ? { leader: options.leader } : undefined;
  }

  /**
   * Says what `sys/health` tells the node to be: `dr-secondary` (472; it refuses all that needs a token with 400),
   * `performance-standby` (473; it serves all the same) or `uninitialized` (501; it is sealed, too), or `active` again.
   * {@link seal} (503) and {@link standby} (429) are told where it is `active`.
   *
   * @throws Error where the dialect is `openbao` and does not know the state: the first two are Vault Enterprise's
   */
  health(state: NodeState): void {
    if (!this.#server.vault && (state === 'dr-secondary' || state === 'performance-standby'))
      throw new Error(`OpenBao has no ${state}: new SimulatedVault({ dialect: 'vault' }) has.`);
    this.#server.time.expire();
    this.#server.node.state = state;
    this.#server.time.expire();
  }

  /**
   * The database behind the server cannot be reached, or can be again. Meanwhile nothing is issued (500), no lease is
   * renewed (400), and users whose lease or token ends live on: the server tries six times, after 10 s, 20 s, 40 s…
   */
  databaseDown(down = true): void {
    this.#server.database.down = down;
  }

  /** Limits the rate of requests; a limit with the name of an old one replaces it, a rate of 0 refuses all. */
  rateLimit(limit: RateLimit, name = 'simulated'): () => void {
    const { quotas } = this.#server.rateLimits;
    quotas.set(name, { ...limit });
    return () => quotas.delete(name);
  }

  /** Ends a lease by its id, or all below a path (`database/creds/app`), as an operator would. Returns how many. */
  revokeLease(idOrPath: string): number {
    this.#server.time.expire();
    const { leases } = this.#server;
    const lease = leases.find(idOrPath);
    const ending = lease ? [lease] : leases.below(`${idOrPath.replace(/\/$/, '')}/`);
    for (const one of ending) leases.end(one);
    return ending.length;
  }

  /** Ends a token by itself, its accessor, or its number in the history, with all its leases and children. */
  revokeToken(which: string | number): boolean {
    this.#server.time.expire();
    const { tokens } = this.#server;
    const token =
      typeof which === 'number'
        ? [...tokens.all()].find(({ number }) => number === which)
        : (tokens.find(which) ?? tokens.findAccessor(which));
    if (token) tokens.revoke(token);
    return token !== undefined;
  }

  /** Takes all tokens but the root token away, leases with them, as a restore of an old snapshot does. */
  revokeAllTokens(): void {
    const { tokens } = this.#server;
    // A map may be changed while it is gone through.
    for (const token of tokens.all()) if (!token.root) tokens.revoke(token);
  }

  /**
   * Answers come late by so many milliseconds of the clock.
   *
   * @param options.before the delay comes before the work, so that giving up means that nothing was done (default: after)
   * @returns what ends the fault, as all faults do
   */
  delay(milliseconds: number, selector?: RequestSelector, options: { before?: boolean } = {}): () => void {
    return this.#server.faults.add(
      { kind: 'delay', milliseconds, before: options.before === true },
      selector,
    );
  }

  /** The work is done, then the connection fails before the answer (default: for the next request). */
  dropResponse(selector: RequestSelector = 1): () => void {
    return this.#server.faults.add({ kind: 'drop' }, selector);
  }

  /** The connection fails before any work is done (default: for the next request). */
  cut(selector: RequestSelector = 1): () => void {
    return this.#server.faults.add({ kind: 'cut' }, selector);
  }

  /**
   * Answers anything instead of the truth; nothing is done (default: for the next request).
   *
   * @param body an object is sent as JSON, a text as it is
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

  // ---------------------------------------------------------------- what it was asked, and what is alive

  /** The requests that reached it, oldest first. */
  get history(): readonly HistoryEntry[] {
    return this.#server.log.entries;
  }

  /** The entries of the history that match. */
  requests(match: RequestMatcher): HistoryEntry[] {
    return this.history.filter(matcher(match));
  }

  /** How many requests of the history match; all of them by default. */
  count(match?: RequestMatcher): number {
    return match === undefined ? this.history.length : this.requests(match).length;
  }

  /** Forgets the history, and what was {@link unhandledRequests}. */
  clearHistory(): void {
    this.#server.log.clear();
  }

  /**
   * Requests that nothing here answers to, as `GET /v1/transit/keys/x`: a path that is not mounted, whatever the
   * policies say of it, or one that this simulation does not know. They get the server's own 403, 404 or 405, and are
   * listed here; `VaultTestingModule` fails the closing of the application for them.
   */
  get unhandledRequests(): readonly string[] {
    return this.#server.log.unhandled;
  }

  /**
   * For `afterEach` of tests without `VaultTestingModule`.
   *
   * @throws Error where requests were {@link unhandledRequests} since the last {@link clearHistory}, naming method and path
   */
  assertExpected(): void {
    if (this.unhandledRequests.length > 0) throw noAnswerTo(this.unhandledRequests);
  }

  /** The leases that exist now, in the order they were made. */
  get liveLeases(): readonly LiveLease[] {
    this.#server.time.expire();
    return [...this.#server.leases.all()].map(({ id, init, expires }) => ({
      id,
      path: init.path,
      left: expires - this.#server.time.now,
      token: init.token.number,
    }));
  }

  /** How many leases exist now. */
  get leaseCount(): number {
    this.#server.time.expire();
    return this.#server.leases.size;
  }

  /** How many tokens exist now, the root token included. */
  get tokenCount(): number {
    this.#server.time.expire();
    return this.#server.tokens.size;
  }

  /** Names of the database users that exist now. */
  get liveUsers(): readonly string[] {
    this.#server.time.expire();
    return [...this.#server.database.users.keys()];
  }

  /** Whether the database would let this user in, now. */
  isValid(username: string, password: string): boolean {
    this.#server.time.expire();
    const user = this.#server.database.users.get(username);
    return user !== undefined && user.password === password && user.expires() > this.#server.time.now;
  }
}
