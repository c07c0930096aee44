import { setMaxListeners } from 'node:events';
import { filter, firstValueFrom, Subject, type Observable } from 'rxjs';
import type { ApiRequest } from '../client/api.types.js';
import { ApiClient, type Outcome } from '../client/api-client.js';
import { InjectedSecrets } from './injected-secrets.js';
import { Reachability } from './reachability.js';
import { background } from '../clock/background.js';
import { systemClock, type Clock } from '../clock/clock.js';
import { KeyedLimiter, Limiter } from '../clock/limiter.js';
import type { Sender } from '../client/transport.types.js';
import { openNetwork } from '../client/transport.js';
import { retryWithinBudget } from '../retry/retry-within-budget.js';
import { Scheduler } from '../clock/scheduler.js';
import type { StartupOptions } from '../config/options.js';
import type { ResolvedOptions } from '../config/resolved-options.js';
import { closed } from '../errors/common-errors.js';
import { printable } from '../errors/printable.js';
import type { VaultError } from '../errors/vault-error.js';
import type { VaultSource } from '../events/channels.js';
import { Counters } from '../events/counters.js';
import { Diagnostics } from '../events/diagnostics.js';
import type { EventBus, EventInit, VaultEvent } from '../events/events.js';
import type { WarningCode } from '../events/log-lines.js';
import { healthOf, type ConnectionStatus, type PoolStatus } from '../events/status.js';
import { Engines } from '../engines/engines.js';
import { LeaseRegistry } from '../leases/lease-registry.js';
import { pathRules } from '../engines/path-rules.js';
import { StaticSecrets } from '../engines/static-secrets.js';
import { VaultClient } from '../session/vault-client.js';
import { AuthInUse } from '../session/auth-in-use.js';
import { Session } from '../session/session.js';
import { lastRequests } from './last-requests.js';
import type { ClosedAtExit, FinalRequest } from './process-end.js';

/** Consumers get this share of the shutdown timeout to drain. */
const DRAIN_SHARE = 0.6;
/** Pause after each notification, as a multiple of its cost, so that listeners use at most 5 % of the time. */
const NOTIFY_COST_FACTOR = 19;
/** Longest pause in milliseconds: a suspended process would otherwise measure a very expensive notification. */
const MAX_THROTTLE = 5_000;

/** Builds the parts of one connection, and closes them in order. It has no timers of its own. */
export class VaultConnection implements ClosedAtExit {
  #name: string;
  // Private, because it holds the key of the client certificate, and some loggers also print getters.
  readonly #options: ResolvedOptions;
  readonly client: VaultClient;
  readonly leases: LeaseRegistry;
  readonly secrets: StaticSecrets;
  /** Static secrets for decorators. */
  readonly injected: InjectedSecrets;
  readonly clock: Clock;
  readonly #bus: EventBus;
  readonly #api: ApiClient;
  readonly #auth: AuthInUse;
  readonly #session: Session;
  readonly #scheduler: Scheduler;
  readonly #diagnostics: Diagnostics;
  readonly #counters = new Counters();
  readonly #pools = new Set<() => PoolStatus>();
  /** The last failure of each job that is repeated. */
  readonly #failures = new Map<object, VaultError>();
  readonly #changes = new Subject<void>();
  readonly #aborted = new AbortController();
  /** Aborts the requests that issue a lease. */
  readonly #issuesAborted = new AbortController();
  #revoking = false;
  #notifyQueued = false;
  #ending = false;
  #shutdown: ConnectionStatus['shutdown'];
  /** Monotonic time before which no notification is sent. */
  #throttledUntil = -Infinity;
  #closing: Promise<void> | undefined;

  constructor(options: ResolvedOptions, bus: EventBus, clock: Clock = systemClock, transport?: Sender) {
    this.#name = options.name;
    this.#options = options;
    this.clock = clock;
    this.#auth = new AuthInUse(options.auth);
    this.#bus = bus;
    this.#scheduler = new Scheduler(clock);
    // Each waiting request adds a listener; Node would warn of a leak.
    setMaxListeners(0, this.#aborted.signal, this.#issuesAborted.signal);
    const reachability = new Reachability(clock, options.timeout, {
      onUnreachable: (error) => this.#emit({ type: 'vault-unreachable', error }),
      onRecovered: (after) => this.#emit({ type: 'vault-recovered', after }),
    });
    this.#diagnostics = new Diagnostics(this.#source(reachability), () => clock.monotonic());
    const count = ({ path }: ApiRequest, took: number, { operation, error, conclusive }: Outcome) => {
      this.#counters.request(operation, took, error?.code);
      if (conclusive) reachability.record({ path, took, error });
    };
    const network =
      transport ??
      openNetwork(options, {
        clearText: (addresses) =>
          this.warn(
            'not-encrypted',
            `logins, tokens and secrets are sent unencrypted to ${addresses.join(', ')} (\`allowHttp\`)`,
          ),
        simulated: (address) =>
          this.warn(
            'simulated-server',
            `${address} is a simulated server for development and tests: it protects no secret`,
          ),
        reloaded: (files) => this.#emit({ type: 'tls-reloaded', files }),
        unusable: (problems) =>
          this.warn(
            'tls-files-ignored',
            `changed TLS files are ignored, their previous content stays in use: ${problems.join('; ')}`,
          ),
      });
    this.#api = new ApiClient(options, clock, network, count, pathRules, this.#diagnostics);
    const shared = {
      diagnostics: this.#diagnostics,
      api: this.#api,
      options,
      auth: this.#auth,
      clock,
      scheduler: this.#scheduler,
      upkeep: new Limiter(options.concurrency, this.#scheduler),
      fetches: new KeyedLimiter(options.concurrency),
      signal: this.#aborted.signal,
      emit: (event: EventInit) => this.#emit(event),
      changed: () => this.#changed(),
      revoking: () => this.#revoking,
      random: Math.random,
    };
    this.#session = new Session(shared);
    const signal = this.#issuesAborted.signal;
    const engines = new Engines(options.engines, (message) => this.warn('engine-failed', message));
    const link = {
      clock,
      emit: shared.emit,
      poolEvent: (event: Parameters<Diagnostics['pool']>[0]) => this.#diagnostics.pool(event),
      addPool: (pool: () => PoolStatus) => this.#addPool(pool),
      poolChanged: shared.changed,
      whenPoolsUse: (path: string, serial: number) => this.#whenPoolsUse(path, serial),
    };
    this.leases = new LeaseRegistry({ ...shared, signal, session: this.#session, engines, link });
    this.client = new VaultClient(this.#session);
    this.secrets = new StaticSecrets({
      ...shared,
      ask: (request) => this.client.requestEncoded(request),
      retry: (job, budget, again) => this.retry(job, budget, { again }),
    });
    this.injected = new InjectedSecrets({ ...shared, secrets: this.secrets });
  }

  /** The name in log lines, events and the status. */
  get name(): string {
    return this.#name;
  }

  /** Renames a connection that was opened before the module that owns it was known. */
  rename(name: string): void {
    this.#name = name;
    this.#changed();
  }

  get startup(): Required<StartupOptions> {
    return this.#options.startup;
  }

  /**
   * Emits after a change of {@link status}. Many changes in a row are one notification, and notifications are throttled
   * so that listeners use at most 5 % of the time.
   */
  get changes$(): Observable<void> {
    return this.#changes;
  }

  get status(): ConnectionStatus {
    const session = this.#session.status();
    const leases = this.leases.status();
    const secrets = this.secrets.status();
    const health = healthOf(session, leases, secrets);
    const pools = [...this.#pools].map((pool) => pool());
    const shutdown = this.#shutdown && { shutdown: this.#shutdown };
    const counters = this.#counters.values;
    return { name: this.name, health, ...shutdown, session, leases, secrets, pools, counters };
  }

  /** Why the start has not ended yet, as a sentence. */
  get waitsFor(): string {
    const { session, leases, secrets } = this.status;
    const failed = [session, ...leases, ...secrets].find(({ error }) => error)?.error;
    const [repeated] = this.#failures.values();
    const missing = session.state === 'valid' ? ' to a read yet, or none of a `schema`' : ' yet';
    const none = `no answer of ${this.#options.addresses.join(', ')}${missing}.`;
    return (this.#session.sourceTooLong(0) ?? failed ?? repeated)?.message ?? none;
  }

  /** Logs in, and retries transient failures for `startup.timeout`. Returns the rest of that time, in milliseconds. */
  async login(): Promise<() => number> {
    // The start has failed elsewhere: a token made now would outlive the error that the application gets.
    if (this.#closing) throw closed();
    const { timeout } = this.#options.startup;
    const end = this.clock.monotonic() + timeout;
    await this.retry(() => this.#session.acquire(), timeout, { attempt: () => this.#auth.current.timeout });
    return () => Math.max(0, end - this.clock.monotonic());
  }

  /** Retries transient failures of a job for `budget` milliseconds. */
  retry<T>(
    job: () => Promise<T>,
    budget: number,
    limits: Pick<Parameters<typeof retryWithinBudget>[1], 'attempt' | 'again'> = {},
  ): Promise<T> {
    const { retry } = this.#options;
    return retryWithinBudget(job, {
      ...limits,
      clock: this.clock,
      budget,
      retry,
      signal: this.#aborted.signal,
      late: (limit) => this.#session.sourceTooLong(limit),
      failed: (error) => this.#failures.set(job, error),
    }).finally(() => this.#failures.delete(job));
  }

  /** The status says from now on that the shutdown has begun. */
  drain(): void {
    this.#shutdown ??= 'draining';
    this.#changed();
  }

  /** Requests in flight end. Leases are still renewed for them, but no longer rotated. */
  freeze(): void {
    this.drain();
    this.leases.freeze();
  }

  /** Ends all leases and tokens of this process within `shutdown.timeout` or `timeout` milliseconds; never throws. */
  close(timeout = Infinity): Promise<void> {
    this.#closing ??= background(() => this.#close(Math.min(timeout, this.#options.shutdown.timeout)));
    return this.#closing;
  }

  /** Milliseconds; 0 without a network (a simulated server), whose tokens and leases end with the process. */
  get exitTimeout(): number {
    return this.#api.route ? this.#options.shutdown.exitTimeout : 0;
  }

  /** Resolves when no login is in progress. */
  settled(): Promise<void> {
    return this.#session.settled();
  }

  finalRequests(): FinalRequest[] {
    const { route } = this.#api;
    const { revoke, exitTimeout: timeout } = this.#options.shutdown;
    if (!route) return [];
    const last = lastRequests(this.#session.unrevoked, this.leases.leases, revoke, this.clock);
    return last.map(({ request, token, revokes }) => ({
      request: { ...this.#api.written(request, token.value), route },
      timeout,
      onAnswer: (status) => revokes && this.#session.revoked(token, status),
    }));
  }

  async #close(timeout: number): Promise<void> {
    const { shutdown } = this.#options;
    // From now on notifications are not throttled, so that the wait for consumers ends with the last release.
    this.#ending = true;
    this.#notifyQueued = false;
    this.#emit({ type: 'closing' });
    this.freeze();
    this.#revoking = shutdown.revoke && this.#session.revocable;
    this.#aborted.abort();
    // A revoked token ends a lease whose answer is on its way. Otherwise the answer is awaited, and the lease retired.
    if (this.#revoking) this.#issuesAborted.abort();
    const ended = this.leases.end();
    this.secrets.end();
    const deadline = this.clock.monotonic() + timeout;
    await this.#waitAtMost(
      ended.then(() => this.#untilDrained()),
      timeout * DRAIN_SHARE,
    );
    this.#session.close();
    const left = () => Math.max(deadline - this.clock.monotonic(), 0);
    // Without a revocation of the token, the leases are retired one by one.
    if (!this.#revoking) await this.#waitAtMost(this.leases.retireAll(), left());
    this.#issuesAborted.abort();
    // Also emits an event for each token that is not revoked.
    await this.#waitAtMost(this.#session.revokeAll(left()), left());
    this.#scheduler.close();
    await this.#api.close();
    this.#shutdown = 'closed';
    this.#emit({ type: 'closed' });
    this.#notify();
    this.#changes.complete();
  }

  #addPool(pool: () => PoolStatus): () => void {
    this.#pools.add(pool);
    this.#changed();
    return () => {
      this.#pools.delete(pool);
      this.#changed();
    };
  }

  async #whenPoolsUse(path: string, serial: number): Promise<void> {
    const isBehind = (pool: PoolStatus) => pool.path === path && (pool.serial ?? serial) < serial;
    const allUse = () => ![...this.#pools].some((pool) => isBehind(pool()));
    if (!allUse()) await firstValueFrom(this.#changes.pipe(filter(allUse)), { defaultValue: undefined });
  }

  /** Resolves when no consumer holds a lease any more. */
  async #untilDrained(): Promise<void> {
    const isDrained = () => !this.leases.held;
    if (!isDrained())
      await firstValueFrom(this.#changes.pipe(filter(isDrained)), { defaultValue: undefined });
  }

  /** Waits until the work has ended, successful or not. */
  async #waitAtMost(work: Promise<unknown>, timeout: number): Promise<void> {
    let cancel = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.clock.setTimer(timeout, resolve, true);
    });
    await Promise.race([work.catch(() => undefined), late]);
    cancel();
  }

  #changed(): void {
    if (this.#notifyQueued) return;
    this.#notifyQueued = true;
    if (this.#ending || this.#throttledUntil <= this.clock.monotonic()) queueMicrotask(() => this.#notify());
    else this.#scheduler.at(this.#throttledUntil, { run: () => this.#notify() });
  }

  #notify(): void {
    this.#notifyQueued = false;
    const began = this.clock.monotonic();
    background(() => this.#changes.next());
    const ended = this.clock.monotonic();
    this.#throttledUntil = ended + Math.min(NOTIFY_COST_FACTOR * (ended - began), MAX_THROTTLE);
  }

  #tell(event: VaultEvent): void {
    this.#bus.emit(event);
    this.#diagnostics.event(event);
  }

  /** This connection for subscribers of the diagnostics. */
  #source(reachability: Reachability): VaultSource {
    const [nameOf, now, status] = [() => this.name, () => this.clock.wall(), () => this.status];
    return {
      get name() {
        return nameOf();
      },
      get reachable() {
        return reachability.reachable;
      },
      now,
      status,
    };
  }

  /** Emits a warning for the operator. */
  warn(code: WarningCode, message: string): void {
    this.#emit({ type: 'warning', code, message });
  }

  #emit(event: EventInit): void {
    this.#counters.event(event);
    // A spread takes ten times as long.
    const stamped = Object.assign({}, event, { connection: this.name, at: new Date(this.clock.wall()) });
    if ('message' in stamped) stamped.message = printable(stamped.message);
    // Log lines and metrics belong to the connection, not to the caller that caused the event.
    background(() => this.#tell(stamped));
    this.#changed();
  }
}
