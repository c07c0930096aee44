import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { MongoClient, type Db, type DbOptions, type MongoClientOptions } from 'mongodb';
import type { Observable } from 'rxjs';
import { background } from '../../clock/background.js';
import { VaultError } from '../../errors/vault-error.js';
import { printedAs, withHidden } from '../../secret/hidden.js';
import type { DatabaseCredentials } from '../../services/credentials.service.js';
import { checkDriver } from '../driver/check-driver.js';
import type { Era } from '../rotation/era.js';
import { logins, type LoginCredentials } from '../rotation/login-credentials.js';
import {
  DRAIN,
  type PoolCounters,
  type PoolEvent,
  type RotationOptions,
} from '../rotation/rotation-driver.js';
import { replaced } from '../rotation/replaced.js';
import { Reports } from '../rotation/reports.js';
import { Rotation } from '../rotation/rotation.js';
import { isDoubtful, refuses, rejected } from './refusal.js';

/**
 * What `new MongoClient()` takes, but for the credentials.
 *
 * @publicApi
 */
export type RotatingMongoOptions = Omit<MongoClientOptions, 'auth'> &
  RotationOptions & {
    /** Makes a client, which is connected later. @default `(url, options) => new MongoClient(url, options)` */
    createClient?: (url: string, options: MongoClientOptions) => MongoClient;
  };

/** Milliseconds that the hold outlasts the drain window, so that its end is no news. */
const MARGIN = 1_000;
/** Milliseconds between looks at operations that are under way. */
const LOOK = 20;

/**
 * Holds the `MongoClient` of the current credentials, which a client cannot change. When new ones come, a new client is
 * connected with them and takes the place of the one before; that one is closed after the drain window, so that
 * operations, cursors and transactions may finish. Until then the earlier lease is held.
 *
 * Ask {@link client} or {@link db} each time; keep neither them nor collections.
 *
 * Emits `'rotation'` with a `PoolEvent`, and `'superseded'` with the client before and the `Date` at which it will be
 * closed, so that change streams can be opened anew in time. Where MongoDB refuses a user (18) or denies it something
 * (13), the credentials are checked, and replaced if they are over. Closes itself when the stream completes.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` for options or a URL that name a user; `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export class RotatingMongo extends EventEmitter<{ rotation: [PoolEvent]; superseded: [MongoClient, Date] }> {
  readonly #rotation: Rotation<MongoClient>;
  readonly #reports = new Reports('RotatingMongo', (event) => this.emit('rotation', event));
  readonly #create: (credentials: DatabaseCredentials) => MongoClient;
  readonly #drain: number;
  readonly #clients = new Map<MongoClient, Era<MongoClient>>();
  /** Operations that have a connection at the moment. */
  readonly #busy = new Map<MongoClient, number>();
  #proved: { credentials: DatabaseCredentials; client: MongoClient } | undefined;
  #current: MongoClient | undefined;

  constructor(
    credentials$: Observable<LoginCredentials>,
    url: string,
    { drain = DRAIN, createClient = create, ...options }: RotatingMongoOptions = {},
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
      // Denied operations are told by command events only.
      const client = createClient(url, { monitorCommands: true, ...options, auth });
      delete auth.password;
      return unprinted(client);
    };
    this.#rotation = new Rotation(
      logins(credentials$),
      {
        prove: (credentials, previous) => this.#prove(credentials, previous !== undefined),
        refuses,
        published: () => this.#publish(),
        // Also where the user stays: with the password of before, a client can open no connection any more.
        superseded: (client, until = new Date(Date.now() + this.#drain)) => {
          setTimeout(() => this.#retire(client), this.#drain).unref();
          this.emit('superseded', client, until);
        },
        end: (client) => void this.#close(client),
      },
      { drain: drain + MARGIN, reports: this.#reports, onEnd: () => void this.#finish() },
    );
  }

  /** The client of the current credentials; for one operation, or one transaction. */
  get client(): MongoClient {
    if (this.#current) return this.#current;
    throw new VaultError({
      code: 'VAULT_CLOSED',
      message: 'There is no client of MongoDB: the first is not connected yet, or all are closed.',
      hint: 'Wait for ready(), as createRotatingMongo() does, and use it no longer than the application runs.',
    });
  }

  /** A database of {@link client}. */
  db(name?: string, options?: DbOptions): Db {
    return this.client.db(name, options);
  }

  /** How often each event came. */
  get counters(): PoolCounters {
    return this.#reports.counters;
  }

  /** Clients of earlier credentials that are still open. */
  get supersededCount(): number {
    return this.#rotation.superseded;
  }

  /**
   * Resolves once the first credentials have logged in; where they do not, it rejects and closes.
   *
   * @throws VaultError `VAULT_CREDENTIALS_REJECTED` where MongoDB refuses them, `VAULT_CLOSED` where there were none,
   * and whatever the stream errors with
   */
  async ready(): Promise<void> {
    try {
      const era = await this.#rotation.ready();
      const client = this.#create(era.credentials);
      this.#use(client, era);
      await background(() => client.connect());
    } catch (error) {
      await this.close();
      throw refuses(error) ? rejected(this.#rotation.current?.path) : error;
    }
  }

  /** Closes all clients, whatever they do. */
  async close(): Promise<void> {
    this.#rotation.end();
    this.#current = undefined;
    const proved = this.#proved?.client;
    this.#proved = undefined;
    await Promise.all([proved?.close(), ...[...this.#clients.keys()].map((client) => this.#close(client))]);
  }

  /** A client that has logged in with new credentials is the one that is used from then on. */
  async #prove(credentials: DatabaseCredentials, keep: boolean): Promise<void> {
    const client = this.#create(credentials);
    try {
      await client.connect();
    } catch (error) {
      await client.close().catch(() => undefined);
      throw error;
    }
    // Meanwhile newer ones may have come, or all may be closed, or these were taken without their proof.
    const wanted = this.#rotation.candidate?.credentials === credentials;
    if (!keep || !wanted) return client.close();
    const before = this.#proved?.client;
    this.#proved = { credentials, client };
    void before?.close().catch(() => undefined);
  }

  #publish(): void {
    const era = this.#rotation.current as Era<MongoClient>;
    const proved = this.#proved?.credentials === era.credentials ? this.#proved.client : undefined;
    if (proved) this.#proved = undefined;
    this.#use(proved ?? this.#create(era.credentials), era);
  }

  #use(client: MongoClient, era: Era<MongoClient>): void {
    this.#current = client;
    this.#clients.set(client, era);
    this.#rotation.opened(era, client);
    const count = (by: number) => this.#busy.set(client, (this.#busy.get(client) ?? 0) + by);
    client.on('connectionCheckedOut', () => count(1));
    client.on('connectionCheckedIn', () => count(-1));
    client.on('commandFailed', ({ failure }) => {
      if (isDoubtful(failure)) this.#rotation.doubt(era);
    });
    client.on('connectionCheckOutFailed', (event) => {
      const { error, reason } = event as { error?: unknown; reason: string };
      // Not where the pool is full, or closed.
      if (reason === 'connectionError') this.#rotation.loginFailed(era, error);
    });
  }

  #retire(client: MongoClient): void {
    const era = this.#clients.get(client);
    const count = this.#busy.get(client) ?? 0;
    if (era && count > 0) {
      this.#reports.tell({ type: 'drain-timeout', path: era.path, serial: era.serial, count });
    }
    void this.#close(client);
  }

  async #close(client: MongoClient): Promise<void> {
    const era = this.#clients.get(client);
    if (!era) return;
    this.#clients.delete(client);
    // MongoDB's driver would connect it again, with credentials that nothing holds any more.
    client.connect = () => Promise.reject(this.#rotation.failure ?? replaced());
    await client.close().catch(() => undefined);
    this.#busy.delete(client);
    this.#rotation.closed(era, client);
  }

  /** There will be no more credentials: what is under way may finish. */
  async #finish(): Promise<void> {
    const late = Date.now() + this.#drain;
    while ([...this.#busy.values()].some((count) => count > 0) && Date.now() < late) await sleep(LOOK);
    await this.close();
  }
}

/**
 * A {@link RotatingMongo} that is {@link RotatingMongo.ready}.
 *
 * @param url `mongodb://host:27017/app`, without a user
 * @throws VaultError as its constructor and `ready()` do
 * @publicApi
 */
export async function createRotatingMongo(
  credentials$: Observable<LoginCredentials>,
  url: string,
  options: RotatingMongoOptions = {},
): Promise<RotatingMongo> {
  const mongo = new RotatingMongo(credentials$, url, options);
  await mongo.ready();
  return mongo;
}

function create(url: string, options: MongoClientOptions): MongoClient {
  return new MongoClient(url, options);
}

/** Each of its connections needs the password; its options, its topology and its pools share the object that has it. */
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
