import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { AmqpConnectionManagerClass, type AmqpConnectionManagerOptions } from 'amqp-connection-manager';
import type { ChannelModel } from 'amqplib';
import type { Observable } from 'rxjs';
import { background } from '../../clock/background.js';
import { VaultError } from '../../errors/vault-error.js';
import { checkDriver } from '../driver/check-driver.js';
import { logins, type LoginCredentials } from '../rotation/login-credentials.js';
import type { Era } from '../rotation/era.js';
import { DRAIN, type PoolCounters, type RotationOptions } from '../rotation/rotation-driver.js';
import { Reports } from '../rotation/reports.js';
import { Rotation } from '../rotation/rotation.js';
import { dial, Line } from './line.js';
import { denies, refuses, rejected } from './refusal.js';

/**
 * Options of amqp-connection-manager, but for `findServers`.
 *
 * @publicApi
 */
export type RotatingConnectionOptions = Omit<AmqpConnectionManagerOptions, 'findServers'> & RotationOptions;

/** Milliseconds between attempts to connect, at least. */
const SHORTEST = 100;

/**
 * An `AmqpConnectionManager` of amqp-connection-manager whose connections log in with the current credentials. When new
 * ones come, a second connection is made with them. Consumers are cancelled on the first and set up on the second,
 * publishers move over; the first is closed when all that it published is confirmed and all that it received is
 * acknowledged, at the latest after the drain window. Until then the earlier lease is held, as RabbitMQ closes the
 * connections of a user that it deletes.
 *
 * Emits `'rotation'` with a `PoolEvent`. Where RabbitMQ refuses a user (403 ACCESS_REFUSED), the credentials
 * are checked, and replaced if they are over. Ends itself when the stream completes.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` for a URL with a user in it; `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export class RotatingConnection extends AmqpConnectionManagerClass {
  readonly #rotation: Rotation<Line>;
  readonly #reports = new Reports('RotatingConnection', (event) => this.emit('rotation', event));
  readonly #urls: readonly string[];
  readonly #drain: number;
  readonly #closing = new AbortController();
  /** Which of the URLs is to be tried. */
  #next = 0;
  #line: Line | undefined;
  readonly #lines = new Set<Line>();
  /** Connections in a row that were lost soon. */
  #shortLived = 0;
  #work: Promise<void> = Promise.resolve();

  constructor(
    credentials$: Observable<LoginCredentials>,
    urls: string | readonly string[],
    { drain = DRAIN, ...options }: RotatingConnectionOptions = {},
  ) {
    checkDriver('amqp-connection-manager');
    checkDriver('amqplib');
    // What the class would connect to by itself; it never does.
    super([], options);
    this.#urls = withoutCredentials([urls].flat());
    this.#drain = drain;
    this.#rotation = new Rotation(
      logins(credentials$),
      {
        prove: async (credentials) => (await dial(this.#place, credentials)).close(),
        refuses,
        published: () => this.#follow(),
        superseded: () => undefined,
        end: (line) => line.abort(),
      },
      { drain, reports: this.#reports, onEnd: () => void this.#finish() },
    );
  }

  /** How often each event came. */
  get counters(): PoolCounters {
    return this.#reports.counters;
  }

  /** Connections of earlier credentials that are still open. */
  get supersededCount(): number {
    return this.#rotation.superseded;
  }

  /**
   * Resolves once the first credentials have logged in; where they do not, it rejects and closes.
   *
   * @throws VaultError `VAULT_CREDENTIALS_REJECTED` where RabbitMQ refuses them, `VAULT_CLOSED` where there were none,
   * and whatever the stream errors with
   */
  async ready(): Promise<void> {
    try {
      const era = await this.#rotation.ready();
      const line = await background(() => this.#open(era));
      // Newer credentials may have been faster.
      if (this.#line) line.abort();
      else await this.#adopt(line);
    } catch (error) {
      await this.close();
      throw refuses(error) ? rejected(this.#rotation.current?.path) : error;
    }
  }

  override async connect({ timeout }: { timeout?: number } = {}): Promise<void> {
    this.#refuseClosed();
    this.#follow();
    const signal = timeout === undefined ? this.#closing.signal : AbortSignal.timeout(timeout);
    if (!this.#line) await once(this, 'connect', { signal });
  }

  override get connection(): ChannelModel | undefined {
    return this.#line?.connection;
  }

  override isConnected(): boolean {
    return this.#line !== undefined;
  }

  /** Moves to a new connection, as at a rotation. */
  override reconnect(): void {
    this.#refuseClosed();
    if (this.#line) this.#follow(true);
  }

  override async close(): Promise<void> {
    this.#rotation.end();
    this.#closing.abort();
    await super.close();
    await Promise.all([...this.#lines].map((line) => line.close()));
  }

  /** amqp-connection-manager has no way back, and would wait for ever for some of it. */
  #refuseClosed(): void {
    if (this.#closing.signal.aborted) throw this.#rotation.failure as Error;
  }

  /** Milliseconds between attempts to connect. */
  get #pause(): number {
    return Math.max(this.reconnectTimeInSeconds * 1_000, SHORTEST);
  }

  get #place() {
    return {
      url: this.#urls[this.#next % this.#urls.length] as string,
      heartbeat: this.heartbeatIntervalInSeconds,
      options: this.connectionOptions,
    };
  }

  /** Sees to it that there is a connection of the current credentials, one attempt after the other. */
  #follow(force = false, delay = 0): void {
    this.#work = background(() =>
      this.#work.then(() => this.#connectAgain(force, delay)).catch(() => undefined),
    );
  }

  async #connectAgain(force: boolean, delay: number): Promise<void> {
    const { signal } = this.#closing;
    if (delay > 0) await this.#wait(await this.#rotation.ready(), delay);
    while (!signal.aborted) {
      const era = await this.#rotation.ready();
      if (this.#line?.era === era && !force) return;
      try {
        const line = await this.#open(era);
        if (era === this.#rotation.current) return await this.#adopt(line);
        line.abort();
      } catch (error) {
        const { url } = this.#place;
        this.#next++;
        this.emit('connectFailed', { err: error, url });
        this.#rotation.loginFailed(era, error);
        await this.#wait(era, this.#pause);
      }
    }
  }

  /** So many milliseconds, or until there are other credentials. */
  async #wait(era: Era<Line>, milliseconds: number): Promise<void> {
    const { signal } = this.#closing;
    await Promise.race([
      sleep(milliseconds, undefined, { signal }),
      this.#rotation.replaced(era, milliseconds),
    ]);
  }

  async #open(era: Era<Line>): Promise<Line> {
    const line = new Line(era, await dial(this.#place, era.credentials));
    if (this.#closing.signal.aborted) {
      line.abort();
      throw new Error('closed');
    }
    this.#lines.add(line);
    this.#rotation.opened(era, line);
    line.connection.on('close', (error: unknown) => this.#lost(line, error));
    line.connection.on('blocked', (reason) => this.emit('blocked', { reason }));
    line.connection.on('unblocked', () => this.emit('unblocked'));
    return line;
  }

  async #adopt(line: Line): Promise<void> {
    const before = this.#line;
    // First, so that a consumer that has to be the only one finds its queue free.
    await before?.pause();
    if (!this.#lines.has(line)) throw new Error('The connection was lost before it was used.');
    this.#line = line;
    line.sheltered = before !== undefined;
    // Each channel of the application makes itself anew; from then on it publishes on the new connection.
    this.emit('connect', { connection: line.connection, url: this.#place.url });
    await line.opened();
    if (before) void this.#retire(before, line);
  }

  async #retire(before: Line, line: Line): Promise<void> {
    await this.#drained(before);
    await before.close();
    line.sheltered = false;
    // A queue that was exclusive to the connection before is free now; its channel could not set itself up before.
    if (line.broken && line === this.#line) this.#follow(true);
  }

  #lost(line: Line, error: unknown): void {
    this.#lines.delete(line);
    this.#rotation.closed(line.era, line);
    if (line !== this.#line) return;
    this.#line = undefined;
    line.told = this.#tell(line, error);
  }

  async #tell({ era, since }: Line, error: unknown): Promise<void> {
    if (this.#closing.signal.aborted) return;
    // It rejects what was denied, and sends again what was lost.
    const gone = denies(error) && (await this.#isGone(era));
    this.emit('disconnect', { err: gone ? new Error('The user of the connection is gone.') : error });
    // What cannot last is not tried again and again at once.
    const short = performance.now() - since < this.#pause;
    this.#shortLived = short ? this.#shortLived + 1 : 0;
    this.#follow(false, this.#shortLived > 1 ? this.#pause : 0);
  }

  async #isGone(era: Era<Line>): Promise<boolean> {
    try {
      const connection = await dial(this.#place, era.credentials);
      void connection.close().catch(() => undefined);
      return false;
    } catch (error) {
      this.#rotation.loginFailed(era, error);
      return refuses(error);
    }
  }

  /** There will be no more credentials: what is under way may finish. */
  async #finish(): Promise<void> {
    const line = this.#line;
    if (line && !this.#closing.signal.aborted) {
      await line.pause();
      // Those before it may not be done either.
      await Promise.all([...this.#lines].map((one) => this.#drained(one)));
    }
    await this.close();
  }

  /** All of it is done, or the drain window is over. */
  async #drained(line: Line): Promise<void> {
    await Promise.race([line.settled(), sleep(this.#drain, undefined, { ref: false })]);
  }
}

/**
 * A {@link RotatingConnection} that is {@link RotatingConnection.ready}.
 *
 * @param urls `amqp://host:5672/vhost`, or several that are tried in turn
 * @throws VaultError as its constructor and `ready()` do
 * @publicApi
 */
export async function createRotatingConnection(
  credentials$: Observable<LoginCredentials>,
  urls: string | readonly string[],
  options: RotatingConnectionOptions = {},
): Promise<RotatingConnection> {
  const connection = new RotatingConnection(credentials$, urls, options);
  await connection.ready();
  return connection;
}

function withoutCredentials(urls: readonly string[]): readonly string[] {
  if (urls.length > 0 && !urls.some((url) => /^\w+:\/\/[^/?#]*@/.test(url))) return urls;
  throw new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message:
      urls.length === 0 ? 'There is no URL of a broker.' : 'A URL of a rotating connection names a user.',
    hint: 'Give URLs as `amqp://host:5672/vhost`; user and password come from the stream.',
  });
}
