import { inspect } from 'node:util';
import * as ioredis from 'ioredis';
import type { Callback, Redis, RedisOptions } from 'ioredis';
import type { Observable } from 'rxjs';
import { background } from '../../clock/background.js';
import { VaultError } from '../../errors/vault-error.js';
import { hiddenBytes, hide } from '../../secret/hidden.js';
import { denies, refuses, rejected } from '../redis/refusal.js';
import { checkDriver } from '../driver/check-driver.js';
import type { Era } from '../rotation/era.js';
import { logins, type LoginCredentials } from '../rotation/login-credentials.js';
import { REPLACEMENT } from '../rotation/rotation.js';
import type { PoolCounters, RotationOptions } from '../rotation/rotation-driver.js';
import { prove, redacted } from './probe.js';
import { RedisFamily } from './redis-family.js';

/**
 * What `new Redis()` takes, but for the credentials, and for `replyMapping`, which would change the types of answers.
 *
 * @publicApi
 */
export type RotatingRedisOptions = Omit<RedisOptions, 'username' | 'password' | 'replyMapping'> &
  RotationOptions;

/** Up to ioredis 4 there is none by that name: the constructor says so, not the import. */
const Client: typeof Redis = ioredis.Redis ?? Object;

/** Milliseconds between tries to log in anew on an open connection. */
const AGAIN = 1_000;

/**
 * A client of ioredis that logs in with the current credentials. When new ones come they are proved with a connection
 * of their own; then the client logs in anew (AUTH) on the connection that it has, between two commands. The earlier
 * lease is held until that is done, as Redis cuts the connections of a user that it deletes.
 *
 * A command that blocks is not interrupted: it has the drain window, then the connection is made again and ioredis
 * repeats it. Where RESP2 is spoken (by ioredis 5, or for `protocol: 2`), a connection that subscribes cannot log in
 * anew: it is made again, and what is published meanwhile (some 60 ms) is missed.
 *
 * `duplicate()` and `monitor()` give clients that rotate along. Emits `'rotation'` with a `PoolEvent`. Where
 * Redis refuses a user (WRONGPASS) or denies it something (NOPERM, NOAUTH), the credentials are checked, and replaced
 * if they are over. Quits when the stream completes. Once it and its duplicates have ended, they hold no lease; `connect()` begins with the
 * credentials of then.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` for options that name `username` or `password`; `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export class RotatingRedis extends Client {
  readonly #family: RedisFamily;
  readonly #reconnectOnError: RedisOptions['reconnectOnError'];
  /** What the connection is logged in with, or is to be. */
  #era: Era<RotatingRedis> | undefined;
  /** What AUTH was sent for on this connection. */
  #asked: Era<RotatingRedis> | undefined;
  /** Whether the connection has logged in. */
  #loggedIn = false;
  /** What was refused once. */
  #refused: Era<RotatingRedis> | undefined;
  #connecting: Promise<void> | undefined;
  /** There is no connection attempt yet that could be aborted. */
  #waiting = false;
  #failure: unknown;

  /** @param source the stream; for a duplicate, what it shares */
  constructor(source: Observable<LoginCredentials> | RedisFamily, options: RotatingRedisOptions = {}) {
    checkDriver('ioredis');
    const { drain, reconnectOnError, lazyConnect = false, ...rest } = withoutCredentials(options);
    super({ ...rest, lazyConnect: true, reconnectOnError: (error) => this.#onErrorReply(error) });
    this.options.lazyConnect = lazyConnect;
    this.#reconnectOnError = reconnectOnError;
    const inner = drain === undefined ? {} : { drain };
    this.#family =
      source instanceof RedisFamily
        ? source
        : new RedisFamily(logins(source), (one) => prove(rest, one), inner);
    this.#family.join(this);
    this.on('ready', () => {
      this.#loggedIn = true;
      this.follow();
    });
    this.on('close', () => {
      // Also where there was no answer at all: a proxy may just close.
      if (this.#era && !this.#loggedIn) this.#family.rotation.loginFailed(this.#era, this.#failure);
      this.#use(undefined);
    });
    this.on('end', () => {
      this.#use(undefined);
      this.#family.leave(this);
    });
    if (!lazyConnect) this.connect().catch(() => undefined);
  }

  /** How often each event came, also of its duplicates. */
  get counters(): PoolCounters {
    return this.#family.reports.counters;
  }

  /**
   * Resolves once the first credentials have logged in; where they do not, it rejects and ends the client.
   *
   * @throws VaultError `VAULT_CREDENTIALS_REJECTED` where Redis refuses them, `VAULT_CLOSED` where there were none,
   * and whatever the stream errors with
   */
  async ready(): Promise<void> {
    // Why a connection could not be made is told by events only.
    const note = (error: unknown) => (this.#failure = error);
    this.on('error', note);
    try {
      if (this.status !== 'ready') await this.connect();
    } catch (error) {
      const cause = error instanceof VaultError ? error : (this.#failure ?? error);
      this.disconnect();
      throw refuses(cause) ? rejected(this.#family.rotation.current?.path) : cause;
    } finally {
      this.off('error', note);
    }
  }

  override connect(callback?: Callback<void>): Promise<void> {
    // The socket, and those that take its place, outlive the request that may be the first to need one.
    this.#connecting ??= background(() => this.#connect().finally(() => (this.#connecting = undefined)));
    if (!callback) return this.#connecting;
    const done = this.#connecting.then(
      () => callback(null),
      (error: Error) => callback(error),
    );
    return done as Promise<void>;
  }

  override disconnect(reconnect = false): void {
    // ioredis would wait for the end of a connection that does not exist.
    if (!reconnect && (this.#waiting || this.status === 'reconnecting')) this.status = 'wait';
    super.disconnect(reconnect);
  }

  /** A client with the same options and the same credentials, or with others where `override` names them. */
  override duplicate(override: Partial<RedisOptions> = {}): Redis {
    if (override.username !== undefined || override.password !== undefined) return super.duplicate(override);
    const { username: _, password: __, ...options } = this.options;
    const reconnectOnError = this.#reconnectOnError ?? null;
    return new RotatingRedis(this.#family, { ...options, reconnectOnError, ...override });
  }

  /** @internal Loggers print clients, and pipelines with their client. */
  toJSON(): string {
    return `[RotatingRedis: ${this.status}]`;
  }

  /** @internal */
  [inspect.custom](): string {
    return this.toJSON();
  }

  /** @internal Called for each error that Redis answers, before anybody hears of it. */
  override handleReconnection(error: Error, item: Parameters<Redis['handleReconnection']>[1]): void {
    super.handleReconnection(redacted(error) as Error, item);
  }

  /** @internal ioredis would fail what waits to be sent. */
  override recoverFromFatalError(commandError: Error, error: Error, options?: object): void {
    for (const one of [commandError, error]) redacted(one);
    const era = this.#era;
    if (era) this.#family.rotation.loginFailed(era, error);
    if (!era || !refuses(error)) return super.recoverFromFatalError(commandError, error, options as never);
    this.#failure = error;
    if (this.#refused === era) return super.recoverFromFatalError(commandError, error, options as never);
    this.#refused = era;
    this.disconnect(true);
  }

  /** @internal Logs in with the current credentials, on the connection that is open. */
  follow(): void {
    const { rotation } = this.#family;
    const era = rotation.current;
    const open = ['ready', 'monitoring'].includes(this.status);
    if (!open || !era || era === this.#era || era === this.#asked) return;
    if (this.mode !== 'normal') return this.disconnect(true);
    this.#asked = era;
    const { username, password } = era.credentials;
    this.auth(username.reveal(), hiddenBytes(password.reveal())).then(
      () => {
        // ioredis repeats it on the next connection where this one broke meanwhile.
        this.#use(era);
        this.follow();
      },
      (error: unknown) => {
        rotation.loginFailed(era, error);
        const again = () => {
          if (this.#asked === era) this.#asked = undefined;
          this.follow();
        };
        setTimeout(again, AGAIN).unref();
      },
    );
  }

  /** @internal There will be no more credentials. */
  finish(): void {
    if (this.status === 'ready') this.quit().catch(() => undefined);
    else this.disconnect();
  }

  async #connect(): Promise<void> {
    const { status } = this;
    // It will say so, and what is held for it is held on.
    if (status === 'ready' || status === 'connect' || status === 'connecting') return super.connect();
    this.#family.join(this);
    const { rotation } = this.#family;
    this.#waiting = true;
    // Commands are queued meanwhile, for which ioredis looks into it.
    const { db: select = 0, protocol = 2 } = this.options as { db?: number; protocol?: 2 | 3 };
    const condition = {
      select,
      protocol,
      subscriber: false,
      replyMapping: 'legacy',
      handshake: false,
    } as const;
    this.condition ??= condition;
    let era: Era<RotatingRedis>;
    try {
      // Commands wait meanwhile.
      if (this.#refused && this.#refused === rotation.current)
        await rotation.replaced(this.#refused, REPLACEMENT);
      era = await rotation.ready();
      if (rotation.failure) throw rotation.failure;
      if (this.status !== status) throw new Error('Connection is closed.');
    } catch (error) {
      if (this.status === status) this.disconnect();
      throw error;
    } finally {
      this.#waiting = false;
    }
    this.#use(era);
    await this.#logIn(era);
    this.#failure = undefined;
  }

  /** ioredis reads the options at once, and keeps what it has made of them until the next connection. */
  async #logIn({ credentials: { username, password } }: Era<RotatingRedis>): Promise<void> {
    Object.assign(this.options, { username: username.reveal(), password: hiddenBytes(password.reveal()) });
    const connecting = super.connect();
    Object.assign(this.options, { username: undefined, password: undefined });
    const { condition } = this;
    if (condition) hide(condition, { auth: condition.auth });
    await connecting.finally(() => {
      // It has logged in, or never will on this connection.
      if (condition) condition.auth = undefined;
    });
  }

  /** From the moment on at which a connection is being made, so that it is under the hold, too. */
  #use(era: Era<RotatingRedis> | undefined): void {
    const { rotation } = this.#family;
    const before = this.#era;
    this.#era = era;
    this.#asked = undefined;
    if (!era) this.#loggedIn = false;
    if (era) rotation.opened(era, this);
    if (before && before !== era) rotation.closed(before, this);
  }

  #onErrorReply(error: Error): boolean | 1 | 2 {
    if (this.#era && denies(error)) this.#family.rotation.doubt(this.#era);
    return this.#reconnectOnError?.(error) ?? false;
  }
}

/**
 * A {@link RotatingRedis} that is {@link RotatingRedis.ready}.
 *
 * @throws VaultError as its constructor and `ready()` do
 * @publicApi
 */
export async function createRotatingRedis(
  credentials$: Observable<LoginCredentials>,
  options: RotatingRedisOptions = {},
): Promise<RotatingRedis> {
  const redis = new RotatingRedis(credentials$, { ...options, lazyConnect: true });
  await redis.ready();
  return redis;
}

function withoutCredentials(options: RotatingRedisOptions): RotatingRedisOptions {
  for (const key of ['username', 'password'] as const) {
    if ((options as RedisOptions)[key] === undefined) continue;
    throw new VaultError({
      code: 'VAULT_CONFIG_INVALID',
      message: `The options of a rotating client name \`${key}\`, which comes from the leased credentials.`,
      hint: 'Leave it out; for a client with credentials of its own use `new Redis()`.',
    });
  }
  return options;
}
