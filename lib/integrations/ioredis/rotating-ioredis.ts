import { inspect } from 'node:util';
import * as ioredis from 'ioredis';
import type { Callback, Redis, RedisOptions } from 'ioredis';
import type { Observable } from 'rxjs';
import { background } from '../../clock/background.js';
import { VaultError } from '../../errors/vault-error.js';
import { hiddenBytes, hide } from '../../secret/hidden.js';
import { IOREDIS, isLoginRejected, isPermissionDenied } from '../redis/rejection.js';
import type { PoolGeneration } from '../rotation/pool-generation.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';
import { onServer } from '../rotation/login-timeout.js';
import { poolOptions } from '../rotation/pool-kind.js';
import { REPLACEMENT_TIMEOUT } from '../rotation/rotation.js';
import { rotating, startWith } from '../rotation/rotating-pool.js';
import type { RotationOptions } from '../rotation/rotation-driver.js';
import { RedisFamily, type FamilyMember } from './redis-family.js';
import { redacted, verifyLogin } from './verify-login.js';

/**
 * The options of `new Redis()`, without credentials, and without `replyMapping`, which would change the types of
 * replies.
 *
 * @publicApi
 */
export type RotatingIoredisOptions = Omit<RedisOptions, 'username' | 'password' | 'replyMapping'> &
  RotationOptions;

/** ioredis 4 has no export of that name; a fallback lets the constructor throw instead of the import. */
const Client: typeof Redis = ioredis.Redis ?? Object;

/** Commands that ioredis sends by itself on each new connection, for what the one before had. */
const RESTORING = new Set(['subscribe', 'psubscribe', 'ssubscribe', 'select']);
/** Milliseconds between attempts to log in again on an open connection. */
const RETRY_PAUSE = 1_000;

/**
 * A client of ioredis that logs in with the current credentials. New credentials are verified with a connection of their
 * own; then the client logs in again (AUTH) on its open connection, between two commands. Until then the earlier lease
 * is held, as Redis closes the connections of a user that it deletes.
 *
 * A blocking command is not interrupted before the end of the drain window; then the client reconnects, and ioredis
 * sends the command again. With RESP2 (ioredis 5, or `protocol: 2`), a connection that subscribes cannot log in
 * again: the client reconnects, and misses messages that are published meanwhile (some 60 ms).
 *
 * `duplicate()` and `monitor()` return clients that rotate, too. Emits `'rotation'` with a `PoolEvent`. If Redis
 * rejects a user (WRONGPASS) or denies a command (NOPERM, NOAUTH), the credentials are verified, and replaced if they
 * do not work any more. Quits when the stream completes. After it and its duplicates have ended, they hold no lease;
 * `connect()` starts with the credentials that are current then.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` for options that name `username` or `password`; `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export class RotatingIoredis extends rotating(Client) {
  readonly #family: RedisFamily;
  readonly #reconnectOnError: RedisOptions['reconnectOnError'];
  /** The generation that the connection is logged in with, or is about to. */
  #generation: PoolGeneration<FamilyMember> | undefined;
  /** The generation of an AUTH under way on this connection. */
  #authPending: PoolGeneration<FamilyMember> | undefined;
  /** Whether the connection has logged in. */
  #loggedIn = false;
  /** The generation whose login was rejected once. */
  #rejected: PoolGeneration<FamilyMember> | undefined;
  #connecting: Promise<void> | undefined;
  /** Waits for credentials: there is no connection attempt yet to abort. */
  #waiting = false;
  #failure: unknown;

  /** @param source the stream; for a duplicate, the family that it joins */
  constructor(source: Observable<LoginCredentials> | RedisFamily, options: RotatingIoredisOptions = {}) {
    const { drain, rest: config } = poolOptions(IOREDIS, options);
    const { reconnectOnError, lazyConnect = false, ...rest } = config;
    super({ ...rest, lazyConnect: true, reconnectOnError: (error) => this.#onErrorReply(error) });
    this.options.lazyConnect = lazyConnect;
    this.#reconnectOnError = reconnectOnError;
    this.#family =
      source instanceof RedisFamily
        ? source
        : new RedisFamily(source, (one) => verifyLogin(rest, one), drain);
    startWith(this, this.#family, { login: () => this.#connectFirst(), end: () => this.disconnect() });
    this.#family.add(this);
    this.on('ready', () => {
      this.#loggedIn = true;
      this.logInAgain();
    });
    this.on('close', () => {
      // Also without an error reply: a proxy may just close the connection.
      if (this.#generation && !this.#loggedIn)
        this.#family.rotation.loginFailed(this.#generation, this.#failure);
      this.#use(undefined);
    });
    this.on('end', () => {
      this.#use(undefined);
      this.#family.remove(this);
    });
    if (!lazyConnect) this.connect().catch(() => undefined);
  }

  async #connectFirst(): Promise<void> {
    // Only events report the reason of a failed connection.
    const note = (error: unknown) => (this.#failure = error);
    this.on('error', note);
    try {
      if (this.status !== 'ready') await this.connect();
    } catch (error) {
      throw error instanceof VaultError ? error : (this.#failure ?? error);
    } finally {
      this.off('error', note);
    }
  }

  override connect(callback?: Callback<void>): Promise<void> {
    // The socket, and later ones, outlive the request that opens the first.
    this.#connecting ??= background(() => this.#connect().finally(() => (this.#connecting = undefined)));
    if (!callback) return this.#connecting;
    const done = this.#connecting.then(
      () => callback(null),
      (error: Error) => callback(error),
    );
    return done as Promise<void>;
  }

  override disconnect(reconnect = false): void {
    // ioredis would wait for the end of a connection that was never opened.
    if (!reconnect && (this.#waiting || this.status === 'reconnecting')) this.status = 'wait';
    super.disconnect(reconnect);
  }

  /** A client with the same options and the same credentials, unless `override` names other ones. */
  override duplicate(override: Partial<RedisOptions> = {}): Redis {
    if (override.username !== undefined || override.password !== undefined) return super.duplicate(override);
    const { username: _, password: __, ...options } = this.options;
    const reconnectOnError = this.#reconnectOnError ?? null;
    return new RotatingIoredis(this.#family, { ...options, reconnectOnError, ...override });
  }

  /** @internal Loggers print clients, and pipelines with their client. */
  toJSON(): string {
    return `[RotatingIoredis: ${this.status}]`;
  }

  /** @internal */
  [inspect.custom](): string {
    return this.toJSON();
  }

  /**
   * @internal ioredis keeps no handler at the promises of commands that it sends by itself: a connection that breaks meanwhile would
   * end the process by an unhandled rejection. The next connection sends them again.
   */
  override sendCommand(...args: Parameters<Redis['sendCommand']>): unknown {
    const sent = super.sendCommand(...args);
    const [{ name, promise }] = args;
    // ioredis sends them before it emits 'ready'.
    if (this.status === 'ready' && !this.#loggedIn && RESTORING.has(name)) promise.catch(() => undefined);
    return sent;
  }

  /** @internal Called for each error reply, before ioredis passes it on. */
  override handleReconnection(error: Error, item: Parameters<Redis['handleReconnection']>[1]): void {
    super.handleReconnection(redacted(error) as Error, item);
  }

  /**
   * @internal Reconnects once with newer credentials after a rejected login, as ioredis would fail the queued
   * commands.
   */
  override recoverFromFatalError(commandError: Error, error: Error, options?: object): void {
    for (const one of [commandError, error]) redacted(one);
    const generation = this.#generation;
    if (generation) this.#family.rotation.loginFailed(generation, error);
    if (!generation || !isLoginRejected(error))
      return super.recoverFromFatalError(commandError, error, options as never);
    this.#failure = error;
    if (this.#rejected === generation)
      return super.recoverFromFatalError(commandError, error, options as never);
    this.#rejected = generation;
    this.disconnect(true);
  }

  /** @internal Logs in with the current credentials, on the open connection. */
  logInAgain(): void {
    const { rotation } = this.#family;
    const generation = rotation.current;
    const open = ['ready', 'monitoring'].includes(this.status);
    if (!open || !generation || generation === this.#generation || generation === this.#authPending) return;
    if (this.mode !== 'normal') return this.disconnect(true);
    this.#authPending = generation;
    const { username, password } = generation.credentials;
    const login = this.auth(username.reveal(), hiddenBytes(password.reveal()));
    onServer(login, generation.clock).then(
      () => {
        // If the connection broke meanwhile, ioredis has sent AUTH on the next one.
        this.#use(generation);
        this.logInAgain();
      },
      (error: unknown) => {
        rotation.loginFailed(generation, error);
        const retry = () => {
          if (this.#authPending === generation) this.#authPending = undefined;
          this.logInAgain();
        };
        generation.clock.setTimer(RETRY_PAUSE, retry);
      },
    );
  }

  /** @internal Closes the client, as the stream completed. */
  finish(): void {
    if (this.status === 'ready') this.quit().catch(() => undefined);
    else this.disconnect();
  }

  async #connect(): Promise<void> {
    const { status } = this;
    // Already connecting: let ioredis reject, and keep the hold.
    if (status === 'ready' || status === 'connect' || status === 'connecting') return super.connect();
    this.#family.add(this);
    const { rotation } = this.#family;
    this.#waiting = true;
    // ioredis reads `condition` for each command that it queues meanwhile.
    const { db: select = 0, protocol = 2 } = this.options as { db?: number; protocol?: 2 | 3 };
    const condition = {
      select,
      protocol,
      subscriber: false,
      replyMapping: 'legacy',
      handshake: false,
    } as const;
    this.condition ??= condition;
    let generation: PoolGeneration<FamilyMember>;
    try {
      // Commands are queued until then.
      if (this.#rejected && this.#rejected === rotation.current)
        await rotation.waitForReplacement(this.#rejected, REPLACEMENT_TIMEOUT);
      generation = await rotation.ready();
      if (rotation.failure) throw rotation.failure;
      if (this.status !== status) throw new Error('Connection is closed.');
    } catch (error) {
      if (this.status === status) this.disconnect();
      throw error;
    } finally {
      this.#waiting = false;
    }
    this.#use(generation);
    await this.#logIn(generation);
    this.#failure = undefined;
  }

  /** ioredis reads the options synchronously, and keeps a copy of the credentials until the next connection. */
  async #logIn({ credentials: { username, password } }: PoolGeneration<FamilyMember>): Promise<void> {
    Object.assign(this.options, { username: username.reveal(), password: hiddenBytes(password.reveal()) });
    const connecting = super.connect();
    Object.assign(this.options, { username: undefined, password: undefined });
    const { condition } = this;
    if (condition) hide(condition, { auth: condition.auth });
    await connecting.finally(() => {
      // The login succeeded or failed; this connection does not need the credentials again.
      if (condition) condition.auth = undefined;
    });
  }

  /** Records the generation of the connection, before it connects, so that the lease is held during the login. */
  #use(generation: PoolGeneration<FamilyMember> | undefined): void {
    const { rotation } = this.#family;
    const previous = this.#generation;
    this.#generation = generation;
    this.#authPending = undefined;
    if (!generation) this.#loggedIn = false;
    if (generation) rotation.connectionOpened(generation, this);
    if (previous && previous !== generation) rotation.connectionClosed(previous, this);
  }

  #onErrorReply(error: Error): boolean | 1 | 2 {
    if (this.#generation && isPermissionDenied(error)) this.#family.rotation.verifyCurrent(this.#generation);
    return this.#reconnectOnError?.(error) ?? false;
  }
}

/**
 * Creates a {@link RotatingIoredis} and waits until it is {@link RotatingIoredis.ready}.
 *
 * @throws VaultError as its constructor and `ready()` do
 * @publicApi
 */
export async function createRotatingIoredis(
  credentials$: Observable<LoginCredentials>,
  options: RotatingIoredisOptions = {},
): Promise<RotatingIoredis> {
  const redis = new RotatingIoredis(credentials$, { ...options, lazyConnect: true });
  await redis.ready();
  return redis;
}
