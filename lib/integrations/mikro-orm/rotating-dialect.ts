import { PostgreSqlKnexDialect } from '@mikro-orm/postgresql';
import type { PoolClient, PoolConfig } from 'pg';
import type { Observable } from 'rxjs';
import type { LibraryRotationOptions } from '../pg/library-options.js';
import { RotatingPool } from '../pg/rotating-pool.js';
import { withoutCredentials } from '../pg/without-credentials.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';

/**
 * For `driverOptions: { client }` of MikroORM 6 on PostgreSQL: its client, with a {@link RotatingPool} in the place of
 * Knex's; under `replicas`, one for each server. `user` is ignored, as MikroORM always has one; `pool` is what
 * `RotatingPool` takes. The pool ends with `orm.close()`, or with the stream.
 *
 * @throws VaultError when MikroORM connects: `VAULT_CONFIG_INVALID` for options with a `password`, also in `clientUrl`
 * @publicApi
 */
export function rotatingDialect(
  credentials$: Observable<LoginCredentials>,
  { onRotation, ...options }: LibraryRotationOptions = {},
): typeof PostgreSqlKnexDialect {
  return class RotatingDialect extends PostgreSqlKnexDialect {
    /** @internal */
    initializePool({ connection, pool }: { connection: PoolConfig; pool?: PoolConfig }): void {
      // MikroORM always has a user and a password here, which is empty; its own parsers of dates are in here, too.
      const { user: _user, password, ...where } = connection;
      withoutCredentials({ password: password || undefined }, { password: 'password' });
      const rotating = new RotatingPool(credentials$, { ...options, ...where, ...pool });
      if (onRotation) rotating.on('rotation', onRotation);
      this.pool = {
        acquire: () => ({ promise: rotating.connect() }),
        release: (client: PoolClient) => {
          client.release();
          return true;
        },
        destroy: () => rotating.end(),
      };
    }
  };
}
