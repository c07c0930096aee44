import * as mikroOrm from '@mikro-orm/postgresql';
import type { Pool, PoolClient, PoolConfig } from 'pg';
import type { Observable } from 'rxjs';
import { checkDriver } from '../driver/check-driver.js';
import type { LibraryRotationOptions } from '../rotation/library-options.js';
import { RotatingPgPool } from '../pg/rotating-pool.js';
import { refuseCredentials } from '../rotation/pool-kind.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';

/** Returns a function that creates the pool; throws for a config with a password. */
type Prepare = (config: PoolConfig, pool?: PoolConfig) => () => RotatingPgPool;

/** A client of Knex, which takes connections from its `pool`. */
type KnexDialect = new (...options: never[]) => { pool: unknown };

/** An export of MikroORM 6, which works on Knex. */
const { PostgreSqlKnexDialect } = mikroOrm as object as { PostgreSqlKnexDialect?: KnexDialect };

/**
 * The option `driverOptions` of MikroORM 7 and 6 on PostgreSQL: connections come from a {@link RotatingPgPool}, with
 * `replicas` from one for each server. `user` is ignored, as MikroORM always has one; `pool` takes the options of
 * `RotatingPgPool`. The pool ends with `orm.close()`, or with the stream.
 *
 * @throws VaultError `VAULT_DRIVER_TOO_OLD`; when MikroORM connects: `VAULT_CONFIG_INVALID` for options with a
 * `password`, also in `clientUrl`
 * @publicApi
 */
export function rotatingMikroOrmOptions(
  credentials$: Observable<LoginCredentials>,
  { onRotation, ...options }: LibraryRotationOptions = {},
): Record<string, unknown> {
  checkDriver('@mikro-orm/postgresql');
  const prepare: Prepare = ({ user: _user, password, ...config }, own) => {
    // MikroORM always passes a user and an empty password, and its own date parsers in the rest of the config.
    refuseCredentials({ password: password || undefined }, { password: 'password' });
    return () => {
      const pool = new RotatingPgPool(credentials$, { ...options, ...config, ...own });
      return onRotation ? pool.on('rotation', onRotation) : pool;
    };
  };
  return PostgreSqlKnexDialect
    ? { client: onKnex(PostgreSqlKnexDialect, prepare) }
    : { onPoolCreated: (pool: Pool) => replace(pool, prepare(pool.options)) };
}

/**
 * MikroORM 7 creates its pool itself, and passes it to a callback before it connects: its methods then use the
 * rotating pool.
 */
function replace(pool: Pool, make: () => RotatingPgPool): void {
  let rotating: RotatingPgPool | undefined;
  // Created on first use, as Kysely does not end a pool that was never connected.
  const pooled = () => {
    if (rotating) return rotating;
    rotating = make();
    const { Client } = rotating as unknown as { Client: unknown };
    // Kysely opens connections of its own to cancel queries.
    Object.assign(pool, { Client, options: rotating.options });
    return rotating;
  };
  Object.assign(pool, {
    connect: (callback?: never) => pooled().connect(callback as never),
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
