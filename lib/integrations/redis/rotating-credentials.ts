import { EventEmitter } from 'node:events';
import type { RedisClientOptions } from 'redis';
import type { Observable } from 'rxjs';
import { background } from '../../clock/background.js';
import type { Clock } from '../../clock/clock.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';
import { PoolFacade } from '../rotation/pool-facade.js';
import type { PoolGeneration } from '../rotation/pool-generation.js';
import { poolOptions } from '../rotation/pool-kind.js';
import type { PoolCounters, PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
import { REPLACEMENT_TIMEOUT, type Rotation } from '../rotation/rotation.js';
import { verifyLogin, type ConnectOptions } from './verify-login.js';
import { isLoginRejected, NODE_REDIS } from './rejection.js';

type Provider = Extract<
  NonNullable<RedisClientOptions['credentialsProvider']>,
  { type: 'streaming-credentials-provider' }
>;
type Listener = Parameters<Provider['subscribe']>[0];
type Subscribed = Awaited<ReturnType<Provider['subscribe']>>;

/**
 * Options of {@link rotatingRedisCredentials}.
 *
 * @publicApi
 */
export interface RotatingRedisCredentialsOptions extends RotationOptions {
  /**
   * Address and socket options of the clients. With them, new credentials are verified with a connection of their own
   * before clients use them, and a client that reconnects waits for newer credentials if Redis rejects the current ones.
   * Without them, only Vault is asked whether the lease is valid, and queued commands may fail once.
   */
  connect?: ConnectOptions;
}

/** One connection of a client; node-redis gives access to no more of it. */
interface Subscription {
  readonly listener: Listener;
  /** The generations that it may be logged in with. */
  readonly generations: Set<PoolGeneration<Subscription>>;
}

/** Milliseconds for which a successful login counts as a verification. */
const VERIFIED_FOR = 200;
/** Milliseconds between attempts to log in again on open connections; the pause doubles. */
const RETRY = { first: 1_000, last: 30_000 };
/** Milliseconds for clients to close after the stream completed. */
const CLOSE_TIMEOUT = 1_000;

/**
 * The streaming credentials provider of node-redis: its clients log in with the current credentials, and again (AUTH on
 * the open connection, between two commands) when new ones come.
 *
 * node-redis does not report when it has logged in again. The earlier lease is held for the drain window, as Redis
 * closes the connections of a user that it deletes. A connection that could not log in again in that time, because a
 * command blocks it or it subscribes over RESP2, is closed then, and node-redis reopens it.
 *
 * Emits `'rotation'` with a `PoolEvent`, and `'end'` when the stream completes: close the clients then. One provider
 * may serve a client and its duplicates, a pool, a cluster, a sentinel.
 *
 * @throws VaultError `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export class RotatingRedisCredentials
  extends EventEmitter<{ rotation: [PoolEvent]; end: [] }>
  implements Provider
{
  readonly type = 'streaming-credentials-provider';
  readonly #pool: PoolFacade<Subscription>;
  /** The stream completed, or the provider was closed: it cannot start again. */
  #closed = false;
  /** Number of connections that wait for their credentials. */
  #pendingSubscriptions = 0;
  readonly #subscriptions = new Set<Subscription>();
  /** node-redis drops the subscription of a broken connection without unsubscribing. */
  readonly #dropped = new FinalizationRegistry<Subscription>((one) => this.#unsubscribe(one));
  readonly #connect: ConnectOptions | undefined;
  /** The last verification of credentials in use. */
  #verification: { generation: PoolGeneration<Subscription>; done: Promise<void>; until: number } | undefined;
  #retryScheduled = false;
  #delay = RETRY.first;

  constructor(credentials$: Observable<LoginCredentials>, options: RotatingRedisCredentialsOptions = {}) {
    super();
    // Each client adds a listener for 'end'.
    this.setMaxListeners(0);
    const { drain, rest } = poolOptions(NODE_REDIS, options);
    const { connect } = rest;
    this.#connect = connect;
    this.#pool = new PoolFacade<Subscription>(credentials$, NODE_REDIS, {
      drain,
      verify: async (credentials) => connect && verifyLogin(connect, credentials),
      onPublished: () => {
        this.#delay = RETRY.first;
        this.#publish();
      },
      // node-redis does not report which connections have logged in again, so each lease is held for the drain window.
      closesSameUser: true,
      usesOf: () => 0,
      end: (one, generation) => this.#leave(one, generation),
      onEvent: (event) => this.emit('rotation', event),
      onStreamEnd: () => this.#streamEnded(),
    });
  }

  /** Number of events of each type. */
  get counters(): PoolCounters {
    return this.#pool.events.counters;
  }

  get #rotation(): Rotation<Subscription> {
    return this.#pool.rotation;
  }

  /** Called by node-redis for each new connection. */
  async subscribe(listener: Listener): Promise<Subscribed> {
    // A client that connects after the last one has ended starts with the credentials that are current then.
    if (this.#rotation.ended && !this.#closed) {
      this.#pool.reopen();
      this.#verification = undefined;
    }
    this.#pendingSubscriptions++;
    return this.#subscribe(listener).finally(() => this.#pendingSubscriptions--);
  }

  async #subscribe(listener: Listener): Promise<Subscribed> {
    const { current } = this.#rotation;
    // Verified before node-redis logs in, as a rejected login fails all queued commands. There are none before the
    // first login.
    if (current && this.#verification) await this.#verifyBeforeReuse(current);
    const generation = await this.#rotation.ready();
    const { failure } = this.#rotation;
    if (failure) throw failure;
    this.#verification ??= {
      generation,
      done: Promise.resolve(),
      until: this.clock.monotonic() + VERIFIED_FOR,
    };
    const subscription: Subscription = { listener, generations: new Set() };
    this.#subscriptions.add(subscription);
    this.#use(subscription, generation);
    const disposable = { dispose: () => this.#unsubscribe(subscription) };
    this.#dropped.register(disposable, subscription);
    return [basicAuth(generation), disposable];
  }

  /** Called by node-redis if a connection could not log in again; it stays open, and tries once more after a pause. */
  onReAuthenticationError(error: Error): void {
    const { current } = this.#rotation;
    if (!current) return;
    this.#rotation.loginFailed(current, error);
    if (this.#retryScheduled) return;
    this.#retryScheduled = true;
    const retry = () => {
      this.#retryScheduled = false;
      this.#publish();
    };
    background(() => current.clock.setTimer(this.#delay, retry));
    this.#delay = Math.min(this.#delay * 2, RETRY.last);
  }

  /** @internal Resolves once there are credentials. */
  async ready(): Promise<void> {
    await this.#rotation.ready();
  }

  /** @internal Ends the rotation and releases the lease after the last client. */
  endIfUnused(): void {
    if (this.#subscriptions.size + this.#pendingSubscriptions === 0) this.#rotation.end();
  }

  /** @internal Ends the rotation and all subscriptions, for good. */
  endNow(): void {
    this.#closed = true;
    this.#rotation.end();
    for (const one of this.#subscriptions) this.#unsubscribe(one);
  }

  /** @internal A hold on the current lease. */
  hold(): (() => void) | undefined {
    return this.#rotation.current?.credentials.lease.hold();
  }

  /** @internal */
  get clock(): Clock {
    return this.#rotation.clock;
  }

  /** @internal The API path of the credentials, once there are some. */
  get path(): string | undefined {
    return this.#rotation.current?.path;
  }

  /**
   * Verifies the credentials of a reconnecting client: Redis may have closed its connection because the user was
   * deleted.
   */
  #verifyBeforeReuse(generation: PoolGeneration<Subscription>): Promise<void> {
    const now = generation.clock.monotonic();
    if (this.#verification?.generation !== generation || now > this.#verification.until) {
      this.#verification = {
        generation,
        done: background(() => this.#verify(generation)),
        until: now + VERIFIED_FOR,
      };
    }
    return this.#verification.done;
  }

  async #verify(generation: PoolGeneration<Subscription>): Promise<void> {
    if (!this.#connect) return this.#rotation.loginFailed(generation, undefined);
    try {
      await verifyLogin(this.#connect, generation.credentials);
    } catch (error) {
      this.#rotation.loginFailed(generation, error);
      // The client reports any other error itself.
      if (isLoginRejected(error)) await this.#rotation.waitForReplacement(generation, REPLACEMENT_TIMEOUT);
    }
  }

  /** Makes all connections log in with the current credentials. */
  #publish(): void {
    const { current } = this.#rotation;
    if (!current) return;
    this.#verification = {
      generation: current,
      done: Promise.resolve(),
      until: current.clock.monotonic() + VERIFIED_FOR,
    };
    for (const subscription of this.#subscriptions) {
      this.#use(subscription, current);
      subscription.listener.onNext(basicAuth(current));
    }
  }

  #use(subscription: Subscription, generation: PoolGeneration<Subscription>): void {
    subscription.generations.add(generation);
    this.#rotation.connectionOpened(generation, subscription);
  }

  #unsubscribe(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
    for (const generation of subscription.generations) this.#leave(subscription, generation);
  }

  #leave(subscription: Subscription, generation: PoolGeneration<Subscription>): void {
    if (subscription.generations.delete(generation))
      this.#rotation.connectionClosed(generation, subscription);
  }

  #streamEnded(): void {
    this.#closed = true;
    this.#rotation.end();
    this.emit('end');
    // Includes subscriptions that node-redis has dropped.
    this.clock.setTimer(CLOSE_TIMEOUT, () => this.endNow());
  }
}

/**
 * {@link RotatingRedisCredentials} for the option `credentialsProvider` of any client of node-redis.
 *
 * @throws VaultError `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export function rotatingRedisCredentials(
  credentials$: Observable<LoginCredentials>,
  options: RotatingRedisCredentialsOptions = {},
): RotatingRedisCredentials {
  return new RotatingRedisCredentials(credentials$, options);
}

function basicAuth({ credentials: { username, password } }: PoolGeneration<Subscription>): Subscribed[0] {
  return { username: username.reveal(), password: password.reveal() };
}
