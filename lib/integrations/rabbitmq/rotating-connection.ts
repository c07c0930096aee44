import { once } from 'node:events';
import { AmqpConnectionManagerClass, type AmqpConnectionManagerOptions } from 'amqp-connection-manager';
import type { ChannelModel } from 'amqplib';
import type { Observable } from 'rxjs';
import { background } from '../../clock/background.js';
import { sleep } from '../../clock/clock.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';
import { PoolFacade } from '../rotation/pool-facade.js';
import { onServer } from '../rotation/login-timeout.js';
import type { PoolGeneration } from '../rotation/pool-generation.js';
import { poolOptions } from '../rotation/pool-kind.js';
import { rotating, startWith } from '../rotation/rotating-pool.js';
import type { RotationOptions } from '../rotation/rotation-driver.js';
import type { Rotation } from '../rotation/rotation.js';
import { LeasedConnection, openConnection, type Broker } from './leased-connection.js';
import { isLoginRejected, isPermissionDenied, noUrlError, RABBITMQ } from './rejection.js';

/**
 * Options of amqp-connection-manager, without `findServers`.
 *
 * @publicApi
 */
export type RotatingAmqpConnectionOptions = Omit<AmqpConnectionManagerOptions, 'findServers'> &
  RotationOptions;

/** Milliseconds between attempts to connect, at least. */
const MIN_PAUSE = 100;

/**
 * An `AmqpConnectionManager` of amqp-connection-manager whose connections log in with the current credentials. When new
 * ones come, it opens a second connection. Consumers are cancelled on the first and set up on the second, and publishers
 * move to the second. The first is closed when its published messages are confirmed and its received ones acknowledged,
 * at the latest after the drain window. Until then the earlier lease is held, as RabbitMQ closes the connections of a
 * user that it deletes.
 *
 * Emits `'rotation'` with a `PoolEvent`. If RabbitMQ rejects a user (403 ACCESS_REFUSED), the credentials are verified,
 * and replaced if they do not work any more. Ends itself when the stream completes.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` for a URL with a user in it; `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export class RotatingAmqpConnection extends rotating(AmqpConnectionManagerClass) {
  readonly #pool: PoolFacade<LeasedConnection>;
  readonly #urls: readonly string[];
  readonly #closing = new AbortController();
  /** Index of the URL to try. */
  #urlIndex = 0;
  #current: LeasedConnection | undefined;
  readonly #connections = new Set<LeasedConnection>();
  /** Connections in a row that were lost within the pause between attempts. */
  #shortLived = 0;
  #attempt: Promise<void> = Promise.resolve();

  constructor(
    credentials$: Observable<LoginCredentials>,
    urls: string | readonly string[],
    options: RotatingAmqpConnectionOptions = {},
  ) {
    const all = [urls].flat();
    if (all.length === 0) throw noUrlError();
    const { drain, rest } = poolOptions(RABBITMQ, options, all);
    // Without URLs, the base class never connects by itself.
    super([], rest);
    this.#urls = all;
    this.#pool = new PoolFacade<LeasedConnection>(credentials$, RABBITMQ, {
      drain,
      verify: async (credentials) => (await openConnection(this.#broker, credentials)).close(),
      onPublished: () => this.#connectCurrent(),
      end: (connection) => connection.abort(),
      onEvent: (event) => this.emit('rotation', event),
      onStreamEnd: () => void this.#finish(),
    });
    startWith(this, this.#pool, { login: () => this.#connectFirst(), end: () => this.close() });
  }

  async #connectFirst(): Promise<void> {
    const generation = await this.#rotation.ready();
    const connection = await background(() => this.#open(generation));
    // A connection of newer credentials may be open already.
    if (this.#current) connection.abort();
    else await this.#adopt(connection);
  }

  get #rotation(): Rotation<LeasedConnection> {
    return this.#pool.rotation;
  }

  override async connect({ timeout }: { timeout?: number } = {}): Promise<void> {
    this.#assertOpen();
    this.#connectCurrent();
    // An option of amqp-connection-manager, in real time.
    const signal = timeout === undefined ? this.#closing.signal : AbortSignal.timeout(timeout);
    if (!this.#current) await once(this, 'connect', { signal });
  }

  override get connection(): ChannelModel | undefined {
    return this.#current?.model;
  }

  /** Whether the connection of the current credentials is open. */
  override isConnected(): boolean {
    return this.#current !== undefined;
  }

  /** Replaces the connection, as a rotation does. */
  override reconnect(): void {
    this.#assertOpen();
    if (this.#current) this.#connectCurrent(true);
  }

  /** Ends the rotation and closes all connections. */
  override async close(): Promise<void> {
    this.#rotation.end();
    this.#closing.abort();
    await super.close();
    await Promise.all([...this.#connections].map((connection) => connection.close()));
  }

  /** amqp-connection-manager cannot be reopened; some of its calls would stay pending. */
  #assertOpen(): void {
    if (this.#closing.signal.aborted) throw this.#rotation.failure as Error;
  }

  /** Milliseconds between attempts to connect. */
  get #pause(): number {
    return Math.max(this.reconnectTimeInSeconds * 1_000, MIN_PAUSE);
  }

  get #broker(): Broker {
    return {
      url: this.#urls[this.#urlIndex % this.#urls.length] as string,
      heartbeat: this.heartbeatIntervalInSeconds,
      options: this.connectionOptions,
    };
  }

  /** Connects with the current credentials, after the attempt that is under way. */
  #connectCurrent(force = false, delay = 0): void {
    this.#attempt = background(() =>
      this.#attempt.then(() => this.#connectWithRetry(force, delay)).catch(() => undefined),
    );
  }

  async #connectWithRetry(force: boolean, delay: number): Promise<void> {
    const { signal } = this.#closing;
    if (delay > 0) await this.#wait(await this.#rotation.ready(), delay);
    while (!signal.aborted) {
      const generation = await this.#rotation.ready();
      if (this.#current?.generation === generation && !force) return;
      try {
        const connection = await this.#open(generation);
        if (generation === this.#rotation.current) return await this.#adopt(connection);
        connection.abort();
      } catch (error) {
        const { url } = this.#broker;
        this.#urlIndex++;
        this.emit('connectFailed', { err: error, url });
        this.#rotation.loginFailed(generation, error);
        await this.#wait(generation, this.#pause);
      }
    }
  }

  /** Waits so many milliseconds, or until newer credentials are in use. */
  async #wait(generation: PoolGeneration<LeasedConnection>, milliseconds: number): Promise<void> {
    const { signal } = this.#closing;
    await Promise.race([
      sleep(generation.clock, milliseconds, signal),
      this.#rotation.waitForReplacement(generation, milliseconds),
    ]);
  }

  async #open(generation: PoolGeneration<LeasedConnection>): Promise<LeasedConnection> {
    const opening = openConnection(this.#broker, generation.credentials);
    const model = await onServer(opening, generation.clock);
    const connection = new LeasedConnection(generation, model);
    if (this.#closing.signal.aborted) {
      connection.abort();
      throw new Error('closed');
    }
    this.#connections.add(connection);
    this.#rotation.connectionOpened(generation, connection);
    model.on('close', (error: unknown) => this.#connectionClosed(connection, error));
    model.on('blocked', (reason) => this.emit('blocked', { reason }));
    model.on('unblocked', () => this.emit('unblocked'));
    return connection;
  }

  async #adopt(connection: LeasedConnection): Promise<void> {
    const previous = this.#current;
    // Consumers are cancelled first: an exclusive consumer needs its queue to be free.
    await previous?.pause();
    if (!this.#connections.has(connection)) throw new Error('The connection was lost before it was used.');
    this.#current = connection;
    connection.toleratesChannelErrors = previous !== undefined;
    // Each channel of the application sets itself up again, and publishes on the new connection from then on.
    this.emit('connect', { connection: connection.model, url: this.#broker.url });
    await connection.channelsOpened();
    if (previous) void this.#retire(previous, connection);
  }

  async #retire(previous: LeasedConnection, connection: LeasedConnection): Promise<void> {
    await this.#drained(previous);
    await previous.close();
    connection.toleratesChannelErrors = false;
    // A queue that was exclusive to the previous connection is free now, so its channel can be set up again.
    if (connection.channelHasFailed && connection === this.#current) this.#connectCurrent(true);
  }

  #connectionClosed(connection: LeasedConnection, error: unknown): void {
    this.#connections.delete(connection);
    this.#rotation.connectionClosed(connection.generation, connection);
    if (connection !== this.#current) return;
    this.#current = undefined;
    connection.disconnectEmitted = this.#emitDisconnect(connection, error);
  }

  async #emitDisconnect({ generation, openedAt }: LeasedConnection, error: unknown): Promise<void> {
    if (this.#closing.signal.aborted) return;
    // amqp-connection-manager rejects messages after a denial, and publishes them again after any other error.
    const deleted = isPermissionDenied(error) && (await this.#isUserDeleted(generation));
    this.emit('disconnect', { err: deleted ? new Error('The user of the connection was deleted.') : error });
    // A connection that is lost at once again and again is not reopened at once.
    const short = generation.clock.monotonic() - openedAt < this.#pause;
    this.#shortLived = short ? this.#shortLived + 1 : 0;
    this.#connectCurrent(false, this.#shortLived > 1 ? this.#pause : 0);
  }

  async #isUserDeleted(generation: PoolGeneration<LeasedConnection>): Promise<boolean> {
    try {
      const connection = await openConnection(this.#broker, generation.credentials);
      void connection.close().catch(() => undefined);
      return false;
    } catch (error) {
      this.#rotation.loginFailed(generation, error);
      return isLoginRejected(error);
    }
  }

  /** The stream completed: closes after the work under way, at the latest after the drain window. */
  async #finish(): Promise<void> {
    const current = this.#current;
    if (current && !this.#closing.signal.aborted) {
      await current.pause();
      // Earlier connections may have work, too.
      await Promise.all([...this.#connections].map((one) => this.#drained(one)));
    }
    await this.close();
  }

  /** Resolves when a connection has no work under way, or at the end of the drain window. */
  async #drained(connection: LeasedConnection): Promise<void> {
    const { clock } = connection.generation;
    await Promise.race([connection.finished(), sleep(clock, this.#pool.drain, undefined, false)]);
  }
}

/**
 * Creates a {@link RotatingAmqpConnection} and waits until it is {@link RotatingAmqpConnection.ready}.
 *
 * @param urls `amqp://host:5672/vhost`, or several that are tried in turn
 * @throws VaultError as its constructor and `ready()` do
 * @publicApi
 */
export async function createRotatingAmqpConnection(
  credentials$: Observable<LoginCredentials>,
  urls: string | readonly string[],
  options: RotatingAmqpConnectionOptions = {},
): Promise<RotatingAmqpConnection> {
  const connection = new RotatingAmqpConnection(credentials$, urls, options);
  await connection.ready();
  return connection;
}
