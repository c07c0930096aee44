import { PostgreSqlKnexDialect } from '@mikro-orm/postgresql';
import type { DatabaseCredentials } from 'nestjs-vault';
import { RotatingPool } from 'nestjs-vault/pg';
import type { PoolConfig } from 'pg';
import type { Observable } from 'rxjs';

/** MikroORM's client for PostgreSQL, with a rotating pool in the place of Knex's. */
export const rotatingDialect = (credentials$: Observable<DatabaseCredentials>) =>
  class extends PostgreSqlKnexDialect {
    initializePool({ connection, pool }: { connection: PoolConfig; pool?: PoolConfig }): void {
      // MikroORM always has a user here; its own parsers of dates are in here, too.
      const { user: _user, password: _password, ...where } = connection;
      // No transaction here takes longer than `drain`.
      const rotating = new RotatingPool(credentials$, { ...where, ...pool, drain: 2_000 });
      this.pool = {
        acquire: () => ({ promise: rotating.connect() }),
        release: (client: { release(): void }) => {
          client.release();
          return true;
        },
        destroy: () => rotating.end(),
      };
    }
  };
