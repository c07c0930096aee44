import * as mikroOrm from '@mikro-orm/postgresql';
import type { Pool, PoolClient, PoolConfig } from 'pg';
import type { Observable } from 'rxjs';
import { checkDriver } from '../driver/check-driver.js';
import type { LibraryRotationOptions } from '../pg/library-options.js';
import { RotatingPool } from '../pg/rotating-pool.js';
import { withoutCredentials } from '../pg/without-credentials.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';

/** What makes the pool; throws where the config has a password. */
type Prepare = (config: PoolConfig, pool?: PoolConfig) => () => RotatingPool;

/** A client of Knex, which takes its connections from `pool`. */
type KnexDialect = new (...options: never[]) => { pool: unknown };

/** MikroORM 6 has it, which works on Knex. */
const { PostgreSqlKnexDialect } = mikroOrm as object as { PostgreSqlKnexDialect?: KnexDialect };

/**
 * For `driverOptions` of MikroORM 7 and 6 on PostgreSQL: its connections come from a {@link RotatingPool}; under
 * `replicas`, from one for each server. `user` is ignored, as MikroORM always has one; `pool` is what `RotatingPool`
 * takes. The pool ends with `orm.close()`, or with the stream.
 *
 * @throws VaultError `VAULT_DRIVER_TOO_OLD`; when MikroORM connects: `VAULT_CONFIG_INVALID` for options with a `password`, also in `clientUrl`
 * @publicApi
 */
export function rotatingDriverOptions(
  credentials$: Observable<LoginCredentials>,
  { onRotation, ...options }: LibraryRotationOptions = {},
): Record<string, unknown> {
  checkDriver('@mikro-orm/postgresql');
  const prepare: Prepare = ({ user: _user, password, ...config }, own) => {
    // MikroORM always has a user and a password here, which is empty; its own parsers of dates are in the config, too.
    withoutCredentials({ password: password || undefined }, { password: 'password' });
    return () => {
      const pool = new RotatingPool(credentials$, { ...options, ...config, ...own });
      return onRotation ? pool.on('rotation', onRotation) : pool;
    };
  };
  return PostgreSqlKnexDialect
    ? { client: onKnex(PostgreSqlKnexDialect, prepare) }
    : { onPoolCreated: (pool: Pool) => replace(pool, prepare(pool.options)) };
}

/** MikroORM 7 makes its pool by itself, and tells of it before it connects: whoever uses it then uses ours. */
function replace(pool: Pool, make: () => RotatingPool): void {
  let rotating: RotatingPool | undefined;
  // Not before it is needed: Kysely does not end what was never connected.
  const ours = () => {
    if (rotating) return rotating;
    rotating = make();
    const { Client } = rotating as unknown as { Client: unknown };
    // Kysely makes connections of its own, to cancel queries.
    Object.assign(pool, { Client, options: rotating.options });
    return rotating;
  };
  Object.assign(pool, {
    connect: (callback?: never) => ours().connect(callback as never),
    end: () => Promise.resolve(rotating?.end()),
  });
}

function onKnex(Dialect: KnexDialect, prepare: Prepare): KnexDialect {
  return class extends Dialect {
    /** @internal */
    initializePool({ connection, pool }: { connection: PoolConfig; pool?: PoolConfig }): void {
      const rotating = prepare(connection, pool)();
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
