import { EventEmitter } from 'node:events';
import { MongoClient, type Db, type DbOptions, type MongoClientOptions } from 'mongodb';
import type { Observable } from 'rxjs';
import { background } from '../../clock/background.js';
import { VaultError } from '../../errors/vault-error.js';
import { printedAs, withHidden } from '../../secret/hidden.js';
import type { UserCredentials } from '../../leases/user-credentials.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';
import { PoolFacade } from '../rotation/pool-facade.js';
import type { PoolGeneration } from '../rotation/pool-generation.js';
import { poolOptions } from '../rotation/pool-kind.js';
import { rotating, startWith } from '../rotation/rotating-pool.js';
import type { PoolEvent, RotationOptions } from '../rotation/rotation-driver.js';
import { poolEndedError, supersededError } from '../rotation/rotation-errors.js';
import { MONGODB, suggestsDroppedUser } from './rejection.js';

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

/** Without its static members: their types are private to @types/node, so no declaration could name them. */
const Events: new () => EventEmitter<{ rotation: [PoolEvent]; superseded: [MongoClient, Date] }> =
  EventEmitter;

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
export class RotatingMongoClient extends rotating(Events) {
  readonly #pool: PoolFacade<MongoClient>;
  readonly #create: (credentials: UserCredentials) => MongoClient;
  readonly #clients = new Map<MongoClient, PoolGeneration<MongoClient>>();
  /** Number of checked-out connections of each client. */
  readonly #busy = new Map<MongoClient, number>();
  #verified: { credentials: UserCredentials; client: MongoClient } | undefined;
  #current: MongoClient | undefined;

  constructor(
    credentials$: Observable<LoginCredentials>,
    url: string,
    config: RotatingMongoClientOptions = {},
  ) {
    super();
    const { drain, rest } = poolOptions(MONGODB, config, [url]);
    const { createClient = create, ...options } = rest;
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
    this.#pool = new PoolFacade<MongoClient>(credentials$, MONGODB, {
      drain,
      verify: (credentials, previous) => this.#verify(credentials, previous !== undefined),
      onPublished: () => this.#publish(),
      onSuperseded: (client, closeAt) => this.emit('superseded', client, closeAt as Date),
      // A client with the previous password cannot open connections.
      closesSameUser: true,
      usesOf: (client) => this.#busy.get(client) ?? 0,
      end: (client) => void this.#close(client),
      onEvent: (event) => this.emit('rotation', event),
      onStreamEnd: () => void this.#pool.untilIdle().then(() => this.close()),
    });
    startWith(this, this.#pool, { login: () => this.#connectFirst(), end: () => this.close() });
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

  async #connectFirst(): Promise<void> {
    const generation = await this.#pool.rotation.ready();
    if (this.#pool.rotation.ended) throw poolEndedError();
    const client = this.#create(generation.credentials);
    this.#use(client, generation);
    await background(() => client.connect());
  }

  /** Closes all clients at once, even in the middle of an operation. */
  async close(): Promise<void> {
    this.#pool.rotation.end();
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
    const wanted = this.#pool.rotation.candidate?.credentials === credentials;
    if (!keep || !wanted) return client.close();
    const previous = this.#verified?.client;
    this.#verified = { credentials, client };
    void previous?.close().catch(() => undefined);
  }

  #publish(): void {
    const generation = this.#pool.rotation.current as PoolGeneration<MongoClient>;
    const verified =
      this.#verified?.credentials === generation.credentials ? this.#verified.client : undefined;
    if (verified) this.#verified = undefined;
    this.#use(verified ?? this.#create(generation.credentials), generation);
  }

  #use(client: MongoClient, generation: PoolGeneration<MongoClient>): void {
    this.#current = client;
    this.#clients.set(client, generation);
    this.#pool.rotation.connectionOpened(generation, client);
    const count = (by: number) => this.#busy.set(client, (this.#busy.get(client) ?? 0) + by);
    client.on('connectionCheckedOut', () => count(1));
    client.on('connectionCheckedIn', () => {
      count(-1);
      this.#pool.useEnded();
    });
    client.on('commandFailed', ({ failure }) => {
      if (suggestsDroppedUser(failure)) this.#pool.rotation.verifyCurrent(generation);
    });
    client.on('connectionCheckOutFailed', (event) => {
      const { error, reason } = event as { error?: unknown; reason: string };
      // Other reasons are a full pool and a closed one.
      if (reason === 'connectionError') this.#pool.rotation.loginFailed(generation, error);
    });
  }

  async #close(client: MongoClient): Promise<void> {
    const generation = this.#clients.get(client);
    if (!generation) return;
    this.#clients.delete(client);
    // The driver would connect it again, with credentials whose lease is not held any more.
    client.connect = () => Promise.reject(this.#pool.rotation.failure ?? supersededError());
    await client.close().catch(() => undefined);
    this.#busy.delete(client);
    this.#pool.rotation.connectionClosed(generation, client);
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
