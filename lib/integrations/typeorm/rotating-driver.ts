import type { PoolClient } from 'pg';
import type { Observable } from 'rxjs';
import { checkDriver } from '../driver/check-driver.js';
import type { LibraryRotationOptions } from '../rotation/library-options.js';
import { defaults, types } from '../pg/pg-exports.js';
import { RotatingPgPool, type RotatingPgPoolConfig } from '../pg/rotating-pool.js';
import { refuseCredentials } from '../rotation/pool-kind.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';

/** The names of pg for credentials, and those of TypeORM. */
const CREDENTIALS = { user: 'username', password: 'password', connectionString: 'url' };

type Connected = (
  error: Error | undefined,
  client: PoolClient | undefined,
  done: (release?: unknown) => void,
) => void;

/**
 * The exports of pg that TypeORM uses.
 *
 * @publicApi
 */
export interface RotatingTypeOrmDriver {
  Pool: new (config: RotatingPgPoolConfig) => RotatingPgPool;
  types: typeof types;
  defaults: typeof defaults;
}

/**
 * The option `driver` of a TypeORM data source of type `postgres`: each pool that TypeORM creates with it, with
 * `replication` one for each server, is a {@link RotatingPgPool} on these credentials. Leave `username`, `password` and
 * `url` out of the options. The pools end with the data source, or with the stream.
 *
 * @throws VaultError when the data source is initialised: `VAULT_CONFIG_INVALID` for options that name `username`,
 * `password` or `url`, `VAULT_DRIVER_TOO_OLD`, `VAULT_CREDENTIALS_REJECTED` if PostgreSQL rejects the first credentials
 * @publicApi
 */
export function rotatingTypeOrmDriver(
  credentials$: Observable<LoginCredentials>,
  { onRotation, ...options }: LibraryRotationOptions = {},
): RotatingTypeOrmDriver {
  class Pool extends RotatingPgPool {
    #ready: Promise<void> | undefined;

    constructor(config: RotatingPgPoolConfig) {
      checkDriver('typeorm', { imported: false });
      super(credentials$, { ...options, ...refuseCredentials(config, CREDENTIALS) });
      if (onRotation) this.on('rotation', onRotation);
    }

    override connect(): Promise<PoolClient>;
    override connect(callback: Connected): void;
    override connect(callback?: Connected): Promise<PoolClient> | void {
      // ready() calls it without a callback.
      if (!callback) return super.connect();
      // TypeORM drops a pool whose first connection fails, and creates another: ready() ends the dropped one.
      this.#ready ??= this.ready();
      this.#ready.then(
        () => super.connect(callback),
        (error: Error) => callback(error, undefined, () => undefined),
      );
    }
  }
  // Without `native`, which TypeORM would prefer if pg-native is installed.
  return { Pool, types, defaults };
}
