import { EventEmitter } from 'node:events';
import type { RedisClientOptions } from 'redis';
import type { Observable } from 'rxjs';
import { background } from '../../clock/background.js';
import { checkDriver } from '../driver/check-driver.js';
import type { Era } from '../rotation/era.js';
import { logins, type LoginCredentials } from '../rotation/login-credentials.js';
import {
  DRAIN,
  type PoolCounters,
  type PoolEvent,
  type RotationDriver,
  type RotationOptions,
} from '../rotation/rotation-driver.js';
import { Reports } from '../rotation/reports.js';
import { REPLACEMENT, Rotation } from '../rotation/rotation.js';
import { probe, type ConnectOptions } from './probe.js';
import { refuses } from './refusal.js';

type Provider = Extract<
  NonNullable<RedisClientOptions['credentialsProvider']>,
  { type: 'streaming-credentials-provider' }
>;
type Listener = Parameters<Provider['subscribe']>[0];
type Subscribed = Awaited<ReturnType<Provider['subscribe']>>;

/**
 * Options of {@link rotatingCredentials}.
 *
 * @publicApi
 */
export interface RotatingCredentialsOptions extends RotationOptions {
  /**
   * How the clients connect. With it, new credentials are proved with a connection of their own before clients use
   * them, and a client that connects again is given none that Redis refuses. Without it only the server is asked
   * whether the lease lives, and what waits to be sent may fail once.
   */
  connect?: ConnectOptions;
}

/** One connection of a client, as far as node-redis lets know of it. */
interface Subscription {
  readonly listener: Listener;
  /** What it may be logged in with. */
  readonly eras: Set<Era<Subscription>>;
}

/** Milliseconds for which credentials that were let in are believed to be good. */
const GOOD = 200;
/** Milliseconds between tries to log in anew on open connections: doubling. */
const AGAIN = { first: 1_000, last: 30_000 };
/** Milliseconds that the hold outlasts the drain window, so that its end is no news. */
const MARGIN = 1_000;
/** Milliseconds for clients to close when the stream has completed. */
const LAST = 1_000;

/**
 * The streaming credentials provider of node-redis: its clients log in with the current credentials, and anew (AUTH,
 * between two commands of the open connection) when others come.
 *
 * node-redis does not tell when it has done so. The earlier lease is held for the drain window, as Redis cuts the
 * connections of a user that it deletes. A connection that could not log in anew in that time, as a command blocks it
 * or it subscribes over RESP2, is cut then, and node-redis makes it again.
 *
 * Emits `'rotation'` with a `PoolEvent`, and `'end'` when the stream completes: close the clients then. One provider
 * may serve a client and its duplicates, a pool, a cluster, a sentinel.
 *
 * @throws VaultError `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export class RotatingCredentials
  extends EventEmitter<{ rotation: [PoolEvent]; end: [] }>
  implements Provider
{
  readonly type = 'streaming-credentials-provider';
  #rotation: Rotation<Subscription>;
  readonly #begin: () => Rotation<Subscription>;
  /** There will be no more: the stream has completed, or nobody is to use it. */
  #over = false;
  /** Connections that wait for their credentials. */
  #arriving = 0;
  readonly #reports = new Reports('RotatingCredentials', (event) => this.emit('rotation', event));
  readonly #subscriptions = new Set<Subscription>();
  /** node-redis forgets the subscription of a connection that broke, without a word. */
  readonly #forgotten = new FinalizationRegistry<Subscription>((one) => this.#leave(one));
  readonly #drain: number;
  readonly #connect: ConnectOptions | undefined;
  /** The last look at credentials that were used before. */
  #look: { era: Era<Subscription>; done: Promise<void>; until: number } | undefined;
  #again = false;
  #delay = AGAIN.first;

  constructor(credentials$: Observable<LoginCredentials>, options: RotatingCredentialsOptions = {}) {
    super();
    checkDriver('redis');
    // Each client waits for the end.
    this.setMaxListeners(0);
    const { drain = DRAIN, connect } = options;
    this.#drain = drain;
    this.#connect = connect;
    const driver: RotationDriver<Subscription> = {
      prove: async (credentials) => connect && probe(connect, credentials),
      refuses,
      published: () => {
        this.#delay = AGAIN.first;
        this.#tell();
      },
      superseded: () => undefined,
      end: (one, era) => this.#close(one, era),
      // Which connections have logged in anew is not known here.
      inUse: () => false,
    };
    const onEnd = () => this.#end();
    this.#begin = () =>
      new Rotation(logins(credentials$), driver, { drain: drain + MARGIN, reports: this.#reports, onEnd });
    this.#rotation = this.#begin();
  }

  /** How often each event came. */
  get counters(): PoolCounters {
    return this.#reports.counters;
  }

  /** Called by node-redis for each connection that it makes. */
  async subscribe(listener: Listener): Promise<Subscribed> {
    // A client that is connected again after the last one has ended begins with the credentials of then.
    if (this.#rotation.ended && !this.#over) {
      this.#rotation = this.#begin();
      this.#look = undefined;
    }
    this.#arriving++;
    return this.#subscribe(listener).finally(() => this.#arriving--);
  }

  async #subscribe(listener: Listener): Promise<Subscribed> {
    const { current } = this.#rotation;
    // Commands wait meanwhile; where a login is refused, node-redis fails them all. Before the first there are none.
    if (current && this.#look) await this.#lookAt(current);
    const era = await this.#rotation.ready();
    const { failure } = this.#rotation;
    if (failure) throw failure;
    this.#look ??= { era, done: Promise.resolve(), until: performance.now() + GOOD };
    const subscription: Subscription = { listener, eras: new Set() };
    this.#subscriptions.add(subscription);
    this.#use(subscription, era);
    const disposable = { dispose: () => this.#leave(subscription) };
    this.#forgotten.register(disposable, subscription);
    return [basicAuth(era), disposable];
  }

  /** Called by node-redis where a connection could not log in anew; it stays as it was, and is told again. */
  onReAuthenticationError(error: Error): void {
    const { current } = this.#rotation;
    if (!current) return;
    this.#rotation.loginFailed(current, error);
    if (this.#again) return;
    this.#again = true;
    const tell = () => {
      this.#again = false;
      this.#tell();
    };
    background(() => setTimeout(tell, this.#delay).unref());
    this.#delay = Math.min(this.#delay * 2, AGAIN.last);
  }

  /** @internal Resolves once there are credentials. */
  async ready(): Promise<void> {
    await this.#rotation.ready();
  }

  /** @internal A client has ended: where it was the last one, the lease is let go of. */
  left(): void {
    if (this.#subscriptions.size + this.#arriving === 0) this.#rotation.end();
  }

  /** @internal Nobody uses it any more, whether they have unsubscribed or not. */
  abandon(): void {
    this.#over = true;
    this.#rotation.end();
    for (const one of this.#subscriptions) this.#leave(one);
  }

  /** @internal A hold on the current lease. */
  hold(): (() => void) | undefined {
    return this.#rotation.current?.credentials.lease.hold();
  }

  /** @internal The API path of the credentials, once there are some. */
  get path(): string | undefined {
    return this.#rotation.current?.path;
  }

  /** A connection that is made again may have been cut because its user is gone. */
  #lookAt(era: Era<Subscription>): Promise<void> {
    const now = performance.now();
    if (this.#look?.era !== era || now > this.#look.until) {
      this.#look = { era, done: background(() => this.#verify(era)), until: now + GOOD };
    }
    return this.#look.done;
  }

  async #verify(era: Era<Subscription>): Promise<void> {
    if (!this.#connect) return this.#rotation.loginFailed(era, undefined);
    try {
      await probe(this.#connect, era.credentials);
    } catch (error) {
      this.#rotation.loginFailed(era, error);
      // Whatever else it is, the client will tell.
      if (refuses(error)) await this.#rotation.replaced(era, REPLACEMENT);
    }
  }

  /** All connections are to log in with the current credentials. */
  #tell(): void {
    const { current } = this.#rotation;
    if (!current) return;
    this.#look = { era: current, done: Promise.resolve(), until: performance.now() + GOOD };
    for (const subscription of this.#subscriptions) {
      this.#use(subscription, current);
      subscription.listener.onNext(basicAuth(current));
    }
  }

  #use(subscription: Subscription, era: Era<Subscription>): void {
    for (const earlier of subscription.eras) {
      if (earlier === era) continue;
      setTimeout(() => this.#close(subscription, earlier), this.#drain).unref();
    }
    subscription.eras.add(era);
    this.#rotation.opened(era, subscription);
  }

  #leave(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
    for (const era of subscription.eras) this.#close(subscription, era);
  }

  #close(subscription: Subscription, era: Era<Subscription>): void {
    if (subscription.eras.delete(era)) this.#rotation.closed(era, subscription);
  }

  #end(): void {
    this.#over = true;
    this.#rotation.end();
    this.emit('end');
    // Also those that node-redis has forgotten.
    setTimeout(() => this.abandon(), LAST).unref();
  }
}

/**
 * {@link RotatingCredentials} for `credentialsProvider` of any client of node-redis.
 *
 * @throws VaultError `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export function rotatingCredentials(
  credentials$: Observable<LoginCredentials>,
  options: RotatingCredentialsOptions = {},
): RotatingCredentials {
  return new RotatingCredentials(credentials$, options);
}

function basicAuth({ credentials: { username, password } }: Era<Subscription>): Subscribed[0] {
  return { username: username.reveal(), password: password.reveal() };
}
