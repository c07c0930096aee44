import type { PoolClient } from 'pg';
import type { Observable } from 'rxjs';
import { checkDriver } from '../driver/check-driver.js';
import type { LibraryRotationOptions } from '../pg/library-options.js';
import { defaults, types } from '../pg/parts.js';
import { RotatingPool, type RotatingPoolConfig } from '../pg/rotating-pool.js';
import { withoutCredentials } from '../pg/without-credentials.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';

/** What pg calls them, and TypeORM. */
const CREDENTIALS = { user: 'username', password: 'password', connectionString: 'url' };

type Connected = (
  error: Error | undefined,
  client: PoolClient | undefined,
  done: (release?: unknown) => void,
) => void;

/**
 * What TypeORM takes of pg.
 *
 * @publicApi
 */
export interface RotatingDriver {
  Pool: new (config: RotatingPoolConfig) => RotatingPool;
  types: typeof types;
  defaults: typeof defaults;
}

/**
 * For the option `driver` of a TypeORM data source of type `postgres`: each pool that TypeORM makes with it, one for
 * each server under `replication`, is a {@link RotatingPool} on these credentials. `username`, `password` and `url`
 * are left out of the options. The pools end with the data source, or with the stream.
 *
 * @throws VaultError when the data source is initialised: `VAULT_CONFIG_INVALID` for options that name `username`,
 * `password` or `url`, `VAULT_DRIVER_TOO_OLD`, `VAULT_CREDENTIALS_REJECTED` where PostgreSQL refuses the first credentials
 * @publicApi
 */
export function rotatingDriver(
  credentials$: Observable<LoginCredentials>,
  { onRotation, ...options }: LibraryRotationOptions = {},
): RotatingDriver {
  class Pool extends RotatingPool {
    #ready: Promise<void> | undefined;

    constructor(config: RotatingPoolConfig) {
      checkDriver('typeorm', { imported: false });
      super(credentials$, { ...options, ...withoutCredentials(config, CREDENTIALS) });
      if (onRotation) this.on('rotation', onRotation);
    }

    override connect(): Promise<PoolClient>;
    override connect(callback: Connected): void;
    override connect(callback?: Connected): Promise<PoolClient> | void {
      // As ready() does.
      if (!callback) return super.connect();
      // TypeORM forgets a pool whose first connection fails, and makes another one; so that one is ended.
      this.#ready ??= this.ready();
      this.#ready.then(
        () => super.connect(callback),
        (error: Error) => callback(error, undefined, () => undefined),
      );
    }
  }
  // No `native`, which TypeORM would prefer where pg-native is installed.
  return { Pool, types, defaults };
}
