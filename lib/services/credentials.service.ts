import { Injectable } from '@nestjs/common';
import { combineLatest, defer, from, map, merge, of, switchMap, type Observable } from 'rxjs';
import { VaultConnections } from '../connection/vault-connections.js';
import {
  databasePath,
  isLogin,
  toDatabaseCredentials,
  type DatabaseCredentials,
  type DatabaseData,
} from '../engines/database/database-credentials.js';
import type { VaultEvent } from '../events/events.js';
import type { LeaseStatus, VaultStatus } from '../events/status.js';
import type { IssueParameters } from '../leases/engine.js';
import type { Requirement } from '../leases/issued-check.js';
import type { Credentials } from '../leases/lease.js';

/**
 * Options of the methods of {@link CredentialsService}.
 *
 * @publicApi
 */
export interface CredentialsOptions {
  /** Name of the connection; the one without a name where absent. */
  connection?: string;
  /**
   * Sent with each issue (as a POST), where an engine wants to know more: `{ common_name: 'orders.internal' }` of
   * `pki/issue/orders`. The same path with other parameters is another secret, here as in every method.
   */
  parameters?: IssueParameters;
}

/**
 * Options of {@link CredentialsService.watch} and {@link CredentialsService.database}.
 *
 * @publicApi
 */
export interface WatchOptions extends CredentialsOptions {
  /** Do not end the stream where even the first read is refused for good: wait until it is allowed. */
  keepTrying?: boolean;
}

/**
 * Lease-backed credentials: issued when first asked for, renewed, rotated before they expire, and shared by all
 * who ask for the same path. A path once asked for is held until {@link release} or shutdown.
 *
 * @publicApi
 */
@Injectable()
export class CredentialsService {
  readonly #connections: VaultConnections;

  /**
   * What is held, until when, and what happens next: now, and at every change. Where a status takes long, of thousands
   * of leases, changes are told together, so that it takes a twentieth of the time at most.
   */
  readonly status$: Observable<VaultStatus>;
  /** What happens over time; hot. */
  readonly events$: Observable<VaultEvent>;

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

  /** The last 100 events, the start-up among them. */
  get recentEvents(): readonly VaultEvent[] {
    return this.#connections.bus.recent;
  }

  /**
   * Credentials at the full path of any lease-backed secret, as `rabbitmq/creds/app`. Emits the current snapshot
   * on subscription and each one whose data differs; trouble shows on {@link status$}, and never ends the stream
   * once there was a first snapshot. It completes at shutdown and on {@link release}.
   *
   * It errors where waiting cannot help and nothing was ever issued: `VAULT_PERMISSION_DENIED`,
   * `VAULT_ROLE_NOT_FOUND`, `VAULT_MOUNT_NOT_FOUND`, `VAULT_SECRET_NOT_FOUND` (a mistyped path),
   * `VAULT_NAMESPACE_NOT_FOUND`, `VAULT_REQUEST_INVALID`, `VAULT_PATH_INVALID`, `VAULT_TLS_UNTRUSTED`, `VAULT_CLOSED`,
   * and those of the login.
   */
  watch<T = Record<string, unknown>>(path: string, options: WatchOptions = {}): Observable<Credentials<T>> {
    return this.#watch<T>(path, options);
  }

  /** {@link watch} for a role of a database engine, mounted at `database` unless `mount` says otherwise. */
  database(role: string, options: WatchOptions & { mount?: string } = {}): Observable<DatabaseCredentials> {
    return defer(() => this.#watch<DatabaseData>(databasePath(role, options.mount), options, isLogin)).pipe(
      map(toDatabaseCredentials),
    );
  }

  /**
   * The current credentials, issued first where there are none; waits for `timeout` (an option of the connection)
   * at most. Rejects with `VAULT_CREDENTIALS_EXPIRED` where the last ones are over and no new ones could be
   * issued, with the error of the first read, with `VAULT_TIMEOUT` where that takes longer, and with `VAULT_CLOSED`
   * at shutdown and where the path is released.
   */
  async get<T = Record<string, unknown>>(
    path: string,
    options: CredentialsOptions = {},
  ): Promise<Credentials<T>> {
    const connection = await this.#connections.get(options.connection);
    return connection.leases.get<T>(path, undefined, options.parameters);
  }

  /** The current credentials without any waiting or I/O, where there are valid ones; costs well below 1 µs. */
  current<T = Record<string, unknown>>(
    path: string,
    options?: CredentialsOptions,
  ): Credentials<T> | undefined {
    return this.#connections.known(options?.connection)?.leases.current<T>(path, options?.parameters);
  }

  /**
   * Gives a path up before shutdown: its streams complete, and the server ends its lease once nobody holds it. (One that
   * cannot be renewed lives until its TTL, or its token, is over.)
   */
  async release(path: string, options: CredentialsOptions = {}): Promise<void> {
    const connection = await this.#connections.get(options.connection);
    await connection.leases.release(path, options.parameters);
  }

  #watch<T>(path: string, options: WatchOptions, requirement?: Requirement): Observable<Credentials<T>> {
    const { connection: name, keepTrying = false, parameters } = options;
    return defer(() => from(this.#connections.get(name))).pipe(
      switchMap(({ leases }) => leases.watch<T>(path, keepTrying, parameters, requirement)),
    );
  }

  /** What is held at one path, until when, and what happens next. */
  status(path: string, options?: CredentialsOptions): LeaseStatus | undefined {
    return this.#connections.known(options?.connection)?.leases.statusOf(path, options?.parameters);
  }
}
