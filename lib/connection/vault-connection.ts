import { setMaxListeners } from 'node:events';
import { Subject, type Observable } from 'rxjs';
import type { ApiRequest } from '../client/api.types.js';
import { ApiClient, type Outcome } from '../client/api-client.js';
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
import { printable } from '../errors/printable.js';
import { Counters, operationOf } from '../events/counters.js';
import type { EventBus, EventInit } from '../events/events.js';
import { healthOf, type ConnectionStatus } from '../events/status.js';
import { engineOf } from '../engines/engine-of.js';
import { LeaseRegistry } from '../leases/lease-registry.js';
import type { Secret } from '../secret/secret.js';
import { KvWatchRegistry } from '../engines/kv/kv-watch-registry.js';
import { readKv, type KvReadOptions, type KvSecret } from '../engines/kv/read-kv.js';
import { VaultClient } from '../session/vault-client.js';
import { Session } from '../session/session.js';
import { lastRequests } from './last-requests.js';
import type { Ending, FinalRequest } from './process-end.js';

/** Of the time allowed for shutdown, what consumers get to let go of their credentials. */
const DRAIN_SHARE = 0.6;
/** Telling of changes rests for so many times as long as it took: of ten thousand leases a status takes its time. */
const REST = 19;
/** Milliseconds that it rests at most: the process may have stood still meanwhile. */
const LONGEST_REST = 5_000;

/** Puts together what one connection is made of, and takes it apart in the right order. No timers of its own. */
export class VaultConnection implements Ending {
  readonly name: string;
  // Private, as it holds the key of the client certificate: some loggers print what getters return, too.
  readonly #options: ResolvedOptions;
  readonly client: VaultClient;
  readonly leases: LeaseRegistry;
  readonly watches: KvWatchRegistry;
  /** Static secrets that decorators asked for: each read once, however many ask. */
  readonly statics = new Map<string, Promise<Secret<unknown>>>();
  readonly #clock: Clock;
  readonly #bus: EventBus;
  readonly #api: ApiClient;
  readonly #session: Session;
  readonly #scheduler: Scheduler;
  readonly #counters = new Counters();
  readonly #changes = new Subject<void>();
  readonly #aborted = new AbortController();
  /** Ends the requests that issue a lease. */
  readonly #noIssues = new AbortController();
  #revoking = false;
  #told = false;
  #ending = false;
  /** Monotonic time before which changes are not told of. */
  #restsUntil = -Infinity;
  #closing: Promise<void> | undefined;

  constructor(options: ResolvedOptions, bus: EventBus, clock: Clock = systemClock, transport?: Sender) {
    this.name = options.name;
    this.#options = options;
    this.#clock = clock;
    this.#bus = bus;
    this.#scheduler = new Scheduler(clock);
    // As many requests as wait at the same time; Node would warn of a leak.
    setMaxListeners(0, this.#aborted.signal, this.#noIssues.signal);
    const reach = new Reachability(clock, {
      away: (error) => this.#emit({ type: 'vault-unreachable', error }),
      back: (after) => this.#emit({ type: 'vault-recovered', after }),
    });
    const count = ({ method, path }: ApiRequest, milliseconds: number, { error, conclusive }: Outcome) => {
      this.#counters.request(operationOf(method, path), milliseconds, error?.code);
      if (conclusive) reach.answered(error);
    };
    const network =
      transport ??
      openNetwork(options, {
        clearText: (addresses) =>
          this.#warn(
            `secret_ids, tokens and secrets travel in clear to ${addresses.join(', ')} (\`allowHttp\`)`,
          ),
        reloaded: (files) => this.#emit({ type: 'tls-reloaded', files }),
        unusable: (problems) =>
          this.#warn(`changed TLS files are not used, and what they held before is: ${problems.join('; ')}`),
      });
    this.#api = new ApiClient(options, clock, network, count);
    const shared = {
      api: this.#api,
      options,
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
    const signal = this.#noIssues.signal;
    this.leases = new LeaseRegistry({ ...shared, signal, session: this.#session, engineOf });
    this.client = new VaultClient(this.#session);
    this.watches = new KvWatchRegistry(shared, (path, how) => this.#readKvOnce(path, how));
  }

  get startup(): Required<StartupOptions> {
    return this.#options.startup;
  }

  /**
   * Something in {@link status} is different now. Many changes in a row are told once, and never so often that whoever
   * listens takes more than a twentieth of the time.
   */
  get changes$(): Observable<void> {
    return this.#changes;
  }

  get status(): ConnectionStatus {
    const session = this.#session.status();
    const leases = this.leases.status();
    const secrets = this.watches.status();
    const health = healthOf(session, leases, secrets);
    return { name: this.name, health, session, leases, secrets, counters: this.#counters.values };
  }

  /** What a login that is not over waits for: a sentence. */
  get waitsFor(): string {
    const { error } = this.#session.status();
    const { addresses } = this.#options;
    return (
      this.#session.sourceTooLong(0)?.message ?? error?.message ?? `no answer of ${addresses.join(', ')} yet.`
    );
  }

  /** Logs in; what may pass is retried for `startup.timeout`. Returns what is left of that, in milliseconds. */
  async login(): Promise<number> {
    const { timeout } = this.#options.startup;
    const end = this.#clock.monotonic() + timeout;
    await this.retry(() => this.#session.acquire(), timeout);
    return Math.max(0, end - this.#clock.monotonic());
  }

  /** Reads a KV secret; what may pass is retried for `budget` milliseconds, the timeout of a request by default. */
  readKv<T>(
    path: string,
    options: KvReadOptions & { kvVersion?: 1 | 2 },
    budget = this.#options.timeout,
  ): Promise<KvSecret<T>> {
    return this.retry(() => this.#readKvOnce<T>(path, options), budget);
  }

  retry<T>(job: () => Promise<T>, budget: number): Promise<T> {
    const { retry } = this.#options;
    return retryWithinBudget(job, {
      clock: this.#clock,
      budget,
      retry,
      signal: this.#aborted.signal,
      late: (limit) => this.#session.sourceTooLong(limit),
    });
  }

  /** Shutdown has begun: renewals go on for the requests that still run, but nothing is rotated any more. */
  freeze(): void {
    this.leases.freeze();
  }

  /** Ends what this process began, within `shutdown.timeout` or less; never throws. */
  close(timeout = Infinity): Promise<void> {
    this.#closing ??= background(() => this.#close(Math.min(timeout, this.#options.shutdown.timeout)));
    return this.#closing;
  }

  /** Milliseconds; 0 where nothing is to be done when the process ends: then its memory may be all there is to end. */
  get exitTimeout(): number {
    return this.#api.route ? this.#options.shutdown.exitTimeout : 0;
  }

  /** Resolves when no login is under way. */
  settled(): Promise<void> {
    return this.#session.settled();
  }

  finalRequests(): FinalRequest[] {
    const { route } = this.#api;
    const { revoke, exitTimeout: timeout } = this.#options.shutdown;
    if (!route) return [];
    const last = lastRequests(this.#session.left, this.leases.leases, revoke, this.#clock);
    return last.map(({ request, token, revokes }) => ({
      request: { ...this.#api.written(request, token.value), route },
      timeout,
      answered: (status) => revokes && this.#session.revoked(token, status),
    }));
  }

  async #close(timeout: number): Promise<void> {
    const { shutdown } = this.#options;
    // From now on those who let go are waited for, also where what they did is to be told after a rest.
    this.#ending = true;
    this.#told = false;
    this.#emit({ type: 'closing' });
    this.freeze();
    this.#revoking = shutdown.revoke && this.#session.revocable;
    this.#aborted.abort();
    // Where no revocation of the token ends it, a lease whose answer is on its way is waited for, and ended.
    if (this.#revoking) this.#noIssues.abort();
    this.leases.end();
    this.watches.end();
    const deadline = this.#clock.monotonic() + timeout;
    await this.#drained(timeout * DRAIN_SHARE);
    this.#session.close();
    const left = () => Math.max(deadline - this.#clock.monotonic(), 0);
    // What no revocation will take along is ended lease by lease.
    if (!this.#revoking) await this.#atMost(this.leases.retireAll(), left());
    this.#noIssues.abort();
    // Also tells what becomes of a token that is let live.
    await this.#atMost(this.#session.revokeAll(left()), left());
    this.#scheduler.close();
    await this.#api.close();
    this.#emit({ type: 'closed' });
    this.#tell();
    this.#changes.complete();
  }

  #readKvOnce<T>(path: string, options: KvReadOptions & { kvVersion?: 1 | 2 }): Promise<KvSecret<T>> {
    const kvVersion = options.kvVersion ?? this.#options.kvVersion;
    return readKv<T>(this.client, path, { ...options, kvVersion });
  }

  /** Resolves when nobody holds a lease any more. */
  async #drained(timeout: number): Promise<void> {
    if (!this.leases.held) return;
    const drained = new Promise<void>((resolve) => {
      this.#changes.subscribe(() => {
        if (!this.leases.held) resolve();
      });
    });
    await this.#atMost(drained, timeout);
  }

  /** Waits for what is to end, however it does. */
  async #atMost(work: Promise<unknown>, timeout: number): Promise<void> {
    let cancel = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.#clock.setTimer(timeout, resolve, true);
    });
    await Promise.race([work.catch(() => undefined), late]);
    cancel();
  }

  #changed(): void {
    if (this.#told) return;
    this.#told = true;
    if (this.#ending || this.#restsUntil <= this.#clock.monotonic()) queueMicrotask(() => this.#tell());
    else this.#scheduler.at(this.#restsUntil, () => this.#tell());
  }

  #tell(): void {
    this.#told = false;
    const began = this.#clock.monotonic();
    background(() => this.#changes.next());
    const ended = this.#clock.monotonic();
    this.#restsUntil = ended + Math.min(REST * (ended - began), LONGEST_REST);
  }

  #warn(message: string): void {
    this.#emit({ type: 'warning', message });
  }

  #emit(event: EventInit): void {
    this.#counters.event(event);
    const text = event.type === 'warning' ? { message: printable(event.message) } : {};
    const stamped = { ...event, ...text, connection: this.name, at: new Date(this.#clock.wall()) };
    // Whoever made it happen: log lines and metrics are of the connection.
    background(() => this.#bus.emit(stamped as Parameters<EventBus['emit']>[0]));
    this.#changed();
  }
}
