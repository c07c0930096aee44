import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { MongoClient, type Db, type DbOptions, type MongoClientOptions } from 'mongodb';
import type { Observable } from 'rxjs';
import { background } from '../../clock/background.js';
import { VaultError } from '../../errors/vault-error.js';
import { printedAs, withHidden } from '../../secret/hidden.js';
import { checkDriver } from '../driver/check-driver.js';
import type { PoolGeneration } from '../rotation/pool-generation.js';
import { toLogins, type LoginCredentials } from '../rotation/login-credentials.js';
import {
  DEFAULT_DRAIN,
  type PoolCounters,
  type PoolEvent,
  type RotationOptions,
} from '../rotation/rotation-driver.js';
import { supersededError } from '../rotation/rotation-errors.js';
import { PoolEvents } from '../rotation/pool-events.js';
import { Rotation } from '../rotation/rotation.js';
import { suggestsDroppedUser, isLoginRejected, rejectedError } from './rejection.js';
import type { UserCredentials } from '../../leases/user-credentials.js';

/**
 * The options of `new MongoClient()`, without credentials.
 *
 * @publicApi
 */
export type RotatingMongoClientOptions = Omit<MongoClientOptions, 'auth'> &
  RotationOptions & {
    /** Creates a client, which is connected later. @default `(url, options) => new MongoClient(url, options)` */
    createClient?: (url: string, options: MongoClientOptions) => MongoClient;
  };

/** Milliseconds that the hold lasts beyond the drain window, as this class closes the clients at its end itself. */
const HOLD_MARGIN = 1_000;
/** Milliseconds between checks for operations under way. */
const POLL_INTERVAL = 20;

/**
 * Holds the `MongoClient` of the current credentials, as a client cannot change its own. When new ones come, a new
 * client is connected and replaces the previous one. That one is closed after the drain window, so that operations,
 * cursors and transactions can finish. Until then the earlier lease is held.
 *
 * Read {@link client} or {@link db} for each operation; do not keep them, or collections.
 *
 * Emits `'rotation'` with a `PoolEvent`, and `'superseded'` with the previous client and the `Date` at which it will
 * be closed, so that change streams can be reopened in time. If MongoDB rejects a user (18) or denies an operation
 * (13), the credentials are verified, and replaced if they do not work any more. Closes itself when the stream
 * completes.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` for options or a URL that name a user; `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export class RotatingMongoClient extends EventEmitter<{
  rotation: [PoolEvent];
  superseded: [MongoClient, Date];
}> {
  readonly #rotation: Rotation<MongoClient>;
  readonly #events = new PoolEvents('RotatingMongoClient', (event) => this.emit('rotation', event));
  readonly #create: (credentials: UserCredentials) => MongoClient;
  readonly #drain: number;
  readonly #clients = new Map<MongoClient, PoolGeneration<MongoClient>>();
  /** Number of checked-out connections of each client. */
  readonly #busy = new Map<MongoClient, number>();
  #verified: { credentials: UserCredentials; client: MongoClient } | undefined;
  #current: MongoClient | undefined;

  constructor(
    credentials$: Observable<LoginCredentials>,
    url: string,
    { drain = DEFAULT_DRAIN, createClient = create, ...options }: RotatingMongoClientOptions = {},
  ) {
    super();
    checkDriver('mongodb');
    refuseCredentials(url, options);
    this.#drain = drain;
    this.#create = ({ username, password }) => {
      const auth: { username: string; password?: string } = printedAs('[redacted]', {
        username: username.reveal(),
        password: password.reveal(),
      });
      // Only command events report denied operations.
      const client = createClient(url, { monitorCommands: true, ...options, auth });
      delete auth.password;
      return unprinted(client);
    };
    this.#rotation = new Rotation(
      toLogins(credentials$),
      {
        verify: (credentials, previous) => this.#verify(credentials, previous !== undefined),
        isLoginRejected,
        onPublished: () => this.#publish(),
        // Also if only the password changed: a client with the previous one cannot open connections.
        onSuperseded: (client, closeAt = new Date(Date.now() + this.#drain)) => {
          setTimeout(() => this.#retire(client), this.#drain).unref();
          this.emit('superseded', client, closeAt);
        },
        end: (client) => void this.#close(client),
      },
      { drain: drain + HOLD_MARGIN, events: this.#events, onEnd: () => void this.#finish() },
    );
  }

  /** The client of the current credentials, for one operation or one transaction. */
  get client(): MongoClient {
    if (this.#current) return this.#current;
    throw new VaultError({
      code: 'VAULT_CLOSED',
      message: 'There is no MongoDB client: the first is not connected yet, or all are closed.',
      hint: 'Wait for ready(), as createRotatingMongoClient() does, and do not use it after the application has closed.',
    });
  }

  /** A database of {@link client}. */
  db(name?: string, options?: DbOptions): Db {
    return this.client.db(name, options);
  }

  /** Number of events of each type. */
  get counters(): PoolCounters {
    return this.#events.counters;
  }

  /** Number of open clients of earlier credentials. */
  get supersededCount(): number {
    return this.#rotation.supersededCount;
  }

  /**
   * Resolves once the first credentials have logged in; if they do not, it rejects and closes.
   *
   * @throws VaultError `VAULT_CREDENTIALS_REJECTED` if MongoDB rejects them, `VAULT_CLOSED` if the stream completed
   * without any, and any error of the stream
   */
  async ready(): Promise<void> {
    try {
      const generation = await this.#rotation.ready();
      const client = this.#create(generation.credentials);
      this.#use(client, generation);
      await background(() => client.connect());
    } catch (error) {
      await this.close();
      throw isLoginRejected(error) ? rejectedError(this.#rotation.current?.path) : error;
    }
  }

  /** Closes all clients at once, even in the middle of an operation. */
  async close(): Promise<void> {
    this.#rotation.end();
    this.#current = undefined;
    const verified = this.#verified?.client;
    this.#verified = undefined;
    await Promise.all([verified?.close(), ...[...this.#clients.keys()].map((client) => this.#close(client))]);
  }

  /** Logs in; a client that logged in with new credentials is kept and used from then on. */
  async #verify(credentials: UserCredentials, keep: boolean): Promise<void> {
    const client = this.#create(credentials);
    try {
      await client.connect();
    } catch (error) {
      await client.close().catch(() => undefined);
      throw error;
    }
    // Meanwhile newer credentials may have come, all may be closed, or these may be in use without verification.
    const wanted = this.#rotation.candidate?.credentials === credentials;
    if (!keep || !wanted) return client.close();
    const previous = this.#verified?.client;
    this.#verified = { credentials, client };
    void previous?.close().catch(() => undefined);
  }

  #publish(): void {
    const generation = this.#rotation.current as PoolGeneration<MongoClient>;
    const verified =
      this.#verified?.credentials === generation.credentials ? this.#verified.client : undefined;
    if (verified) this.#verified = undefined;
    this.#use(verified ?? this.#create(generation.credentials), generation);
  }

  #use(client: MongoClient, generation: PoolGeneration<MongoClient>): void {
    this.#current = client;
    this.#clients.set(client, generation);
    this.#rotation.connectionOpened(generation, client);
    const count = (by: number) => this.#busy.set(client, (this.#busy.get(client) ?? 0) + by);
    client.on('connectionCheckedOut', () => count(1));
    client.on('connectionCheckedIn', () => count(-1));
    client.on('commandFailed', ({ failure }) => {
      if (suggestsDroppedUser(failure)) this.#rotation.verifyCurrent(generation);
    });
    client.on('connectionCheckOutFailed', (event) => {
      const { error, reason } = event as { error?: unknown; reason: string };
      // Other reasons are a full pool and a closed one.
      if (reason === 'connectionError') this.#rotation.loginFailed(generation, error);
    });
  }

  #retire(client: MongoClient): void {
    const generation = this.#clients.get(client);
    const count = this.#busy.get(client) ?? 0;
    if (generation && count > 0) {
      this.#events.emit({ type: 'drain-timeout', path: generation.path, serial: generation.serial, count });
    }
    void this.#close(client);
  }

  async #close(client: MongoClient): Promise<void> {
    const generation = this.#clients.get(client);
    if (!generation) return;
    this.#clients.delete(client);
    // The driver would connect it again, with credentials whose lease is not held any more.
    client.connect = () => Promise.reject(this.#rotation.failure ?? supersededError());
    await client.close().catch(() => undefined);
    this.#busy.delete(client);
    this.#rotation.connectionClosed(generation, client);
  }

  /** The stream completed: closes after the operations under way, at the latest after the drain window. */
  async #finish(): Promise<void> {
    const deadline = Date.now() + this.#drain;
    while ([...this.#busy.values()].some((count) => count > 0) && Date.now() < deadline)
      await sleep(POLL_INTERVAL);
    await this.close();
  }
}

/**
 * Creates a {@link RotatingMongoClient} and waits until it is {@link RotatingMongoClient.ready}.
 *
 * @param url `mongodb://host:27017/app`, without a user
 * @throws VaultError as its constructor and `ready()` do
 * @publicApi
 */
export async function createRotatingMongoClient(
  credentials$: Observable<LoginCredentials>,
  url: string,
  options: RotatingMongoClientOptions = {},
): Promise<RotatingMongoClient> {
  const mongo = new RotatingMongoClient(credentials$, url, options);
  await mongo.ready();
  return mongo;
}

function create(url: string, options: MongoClientOptions): MongoClient {
  return new MongoClient(url, options);
}

/**
 * Hides the password, which each connection of the client needs: options, topology and pools share the object that
 * holds it.
 */
function unprinted(client: MongoClient): MongoClient {
  const options = client.options as { credentials?: { password: string } };
  if (options.credentials) {
    const { password, ...others } = options.credentials;
    const prototype = Object.getPrototypeOf(options.credentials) as object;
    const shown = Object.assign(Object.create(prototype) as { password: string }, others);
    options.credentials = withHidden(shown, 'password', () => password);
  }
  return printedAs('[MongoClient]', client);
}

function refuseCredentials(url: string, options: MongoClientOptions): void {
  if (options.auth === undefined && !/^[\w+]+:\/\/[^/?#]*@/.test(url)) return;
  throw new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: 'The URL or the options of a rotating MongoDB client name a user, which comes from the stream.',
    hint: 'Give the URL as `mongodb://host:27017/app`, and no `auth`.',
  });
}
