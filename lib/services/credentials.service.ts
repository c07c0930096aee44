import { combineLatest, defer, from, map, merge, of, switchMap, Observable } from 'rxjs';
import type { VaultConnection } from '../connection/vault-connection.js';
import { VaultConnections } from '../connection/vault-connections.js';
import { databasePath } from '../engines/database/database-path.js';
import type { VaultEvent } from '../events/events.js';
import type { LeaseStatus, VaultStatus } from '../events/status.js';
import type { IssueParameters } from '../engines/engine.js';
import type { Engine } from '../engines/own-engine.js';
import type { Requirement } from '../leases/issued-check.js';
import type { Credentials } from '../leases/lease.js';
import {
  isUserData,
  toUserCredentials,
  type UserCredentials,
  type UserData,
} from '../leases/user-credentials.js';

/**
 * The credentials of a database role.
 *
 * @publicApi
 */
export type DatabaseCredentials = UserCredentials;

/**
 * Options of the methods of {@link CredentialsService}.
 *
 * @publicApi
 */
export interface CredentialsOptions {
  /** Name of the connection. @default the connection without a name */
  connection?: string;
  /**
   * Sent with each issue (as a POST) to engines that require parameters, such as `{ common_name: 'orders.internal' }`
   * of `pki/issue/orders`. The same path with other parameters is another secret, in every method.
   */
  parameters?: IssueParameters;
}

/**
 * Options of {@link CredentialsService.get}.
 *
 * @publicApi
 */
export interface GetOptions<T extends object = never> extends CredentialsOptions {
  /**
   * The engine of the path, if it is not a built-in one. All consumers of a path share one: another one, or the first
   * one on a path that is already in use without, is refused with `VAULT_CONFIG_INVALID`. Calls without `engine` use
   * the one that the path has.
   */
  engine?: Engine<T>;
}

/**
 * Options of {@link CredentialsService.watch} and {@link CredentialsService.database}.
 *
 * @publicApi
 */
export interface WatchOptions<T extends object = never> extends GetOptions<T> {
  /** Keep retrying a permanent failure of the first read, instead of ending the stream. @default false */
  keepTrying?: boolean;
}

/**
 * Lease-backed credentials. They are issued at the first request for a path, renewed, rotated before they expire, and
 * shared by all consumers of the path. A path is kept until {@link release} or shutdown.
 *
 * @publicApi
 */
export class CredentialsService {
  readonly #connections: VaultConnections;

  /**
   * The status of all connections: emitted on subscription and at every change. With thousands of leases a status takes
   * long; then changes are combined, so that listeners use at most 5 % of the time.
   */
  readonly status$: Observable<VaultStatus>;
  /** The events of all connections; hot. */
  readonly events$: Observable<VaultEvent>;

  /** @internal */
  constructor(connections: VaultConnections) {
    this.#connections = connections;
    this.events$ = connections.bus.events$;
    this.status$ = defer(() => from(connections.all())).pipe(
      switchMap((all) =>
        combineLatest(
          all.map((connection) =>
            merge(of(undefined), connection.changes$).pipe(map(() => connection.status)),
          ),
        ),
      ),
      map((connections) => ({ connections })),
    );
  }

  /** The last 100 events, including the events of the start. */
  get recentEvents(): readonly VaultEvent[] {
    return this.#connections.bus.recent;
  }

  /**
   * Credentials at the full path of any lease-backed secret, for example `rabbitmq/creds/app`. Emits the current
   * snapshot on subscription, and each later snapshot with different data. After the first snapshot, failures never end
   * the stream; {@link status$} shows them. The stream completes at shutdown and on {@link release}.
   *
   * The stream errors only if nothing was issued before and the failure is permanent: `VAULT_PERMISSION_DENIED`,
   * `VAULT_ROLE_NOT_FOUND`, `VAULT_MOUNT_NOT_FOUND`, `VAULT_SECRET_NOT_FOUND` (a mistyped path),
   * `VAULT_NAMESPACE_NOT_FOUND`, `VAULT_REQUEST_INVALID`, `VAULT_PATH_INVALID`, `VAULT_TLS_UNTRUSTED`, `VAULT_CLOSED`,
   * and the permanent errors of a login.
   */
  watch<T extends object = Record<string, unknown>>(
    path: string,
    options: WatchOptions<T> = {},
  ): Observable<Credentials<T>> {
    return this.#watch<T>(path, options);
  }

  /** {@link watch} for a role of a database engine. `mount` is its mount path. @default 'database' */
  database(role: string, options: WatchOptions & { mount?: string } = {}): Observable<DatabaseCredentials> {
    return defer(() => this.#watch<UserData>(databasePath(role, options.mount), options, isUserData)).pipe(
      map(toUserCredentials),
    );
  }

  /**
   * The current credentials. If there are none, they are issued first; the wait is limited by `timeout`, an option of
   * the connection. Rejects with `VAULT_CREDENTIALS_EXPIRED` if the previous credentials have expired and no new ones
   * could be issued, with the error of the first read, with `VAULT_TIMEOUT` after the wait, and with `VAULT_CLOSED` at
   * shutdown and if the path is released.
   */
  get<T extends object = Record<string, unknown>>(
    path: string,
    options: GetOptions<T> = {},
  ): Promise<Credentials<T>> {
    const { connection, parameters, engine } = options;
    const get = ({ leases }: VaultConnection) =>
      leases.get<T>(path, undefined, parameters, undefined, engine);
    const up = this.#connections.known(connection);
    return up ? get(up) : this.#connections.get(connection).then(get);
  }

  /** {@link get} for a role of a database engine. `mount` is its mount path. @default 'database' */
  async getDatabase(
    role: string,
    options: CredentialsOptions & { mount?: string } = {},
  ): Promise<DatabaseCredentials> {
    const { leases } = await this.#connections.get(options.connection);
    const path = databasePath(role, options.mount);
    return toUserCredentials(await leases.get<UserData>(path, undefined, options.parameters, isUserData));
  }

  /** The current credentials, or undefined if there are no valid ones. Sends no request; costs well below 1 µs. */
  current<T = Record<string, unknown>>(
    path: string,
    options?: CredentialsOptions,
  ): Credentials<T> | undefined {
    return this.#connections.known(options?.connection)?.leases.current<T>(path, options?.parameters);
  }

  /**
   * Releases a path before shutdown: its streams complete, and the server ends its lease when no consumer holds it any
   * more. (A lease that cannot be renewed lives until its TTL or its token ends.)
   */
  async release(path: string, options: CredentialsOptions = {}): Promise<void> {
    const connection = await this.#connections.get(options.connection);
    await connection.leases.release(path, options.parameters);
  }

  #watch<T extends object>(
    path: string,
    options: WatchOptions<T>,
    requirement?: Requirement,
  ): Observable<Credentials<T>> {
    const { connection: name, keepTrying = false, parameters, engine } = options;
    // Without operators: thousands may subscribe in one turn of the event loop.
    return new Observable((subscriber) => {
      const watch = ({ leases }: VaultConnection) => {
        const credentials$ = leases.watch<T>(path, keepTrying, parameters, requirement, engine);
        if (!subscriber.closed) credentials$.subscribe(subscriber);
      };
      this.#connections
        .get(name)
        .then(watch)
        .catch((error: unknown) => subscriber.error(error));
    });
  }

  /** The status of one path; undefined if no consumer has requested it. */
  status(path: string, options?: CredentialsOptions): LeaseStatus | undefined {
    return this.#connections.known(options?.connection)?.leases.statusOf(path, options?.parameters);
  }
}
