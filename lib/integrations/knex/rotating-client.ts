import knex, { type Knex } from 'knex';
import type { ClientConfig } from 'pg';
import type { Observable } from 'rxjs';
import { VaultError } from '../../errors/vault-error.js';
import { checkDriver } from '../driver/check-driver.js';
import type { LibraryRotationOptions } from '../rotation/library-options.js';
import { PooledClients, type PooledClient } from '../pg/pooled-clients.js';
import { refuseCredentials } from '../rotation/pool-kind.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';

const CREDENTIALS = {
  user: 'connection.user',
  password: 'connection.password',
  connectionString: 'connection.connectionString',
};

/** Knex sets this field on a connection that it will not lend again, and logs its value then. */
type KnexConnection = PooledClient & { __knex__disposed?: unknown };

/**
 * The option `client` of a Knex for PostgreSQL whose connections log in with these credentials. All pooled connections
 * rotate: idle ones of earlier credentials are closed at once, busy ones when they are released, at the latest after the
 * drain window. `connection` has no user and no password; all other options, those of `pool` too, are as with
 * `client: 'pg'`. Create one for each instance of Knex. When the stream completes, it calls `destroy()`.
 *
 * @throws VaultError when Knex is called: `VAULT_CONFIG_INVALID` for a `connection` that is no object, or names
 * `user`, `password` or a `connectionString`; `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export function rotatingKnexClient(
  credentials$: Observable<LoginCredentials>,
  options: LibraryRotationOptions = {},
): typeof Knex.Client {
  checkDriver('knex');
  // Knex does not export its client for PostgreSQL.
  const Postgres = knex({ client: 'pg' }).client.constructor as typeof Knex.Client;

  return class RotatingKnexClient extends Postgres {
    // A plain property, as Knex creates transactions and copies from the prototype, without the constructor.
    // `declare`, as Knex's constructor creates the pool before fields of this class would be initialised.
    declare pooled: PooledClients | undefined;

    constructor(config: Knex.Config) {
      super({ ...config, connection: connectionOf(config) });
    }

    /** Also called by `initialize()` after `destroy()`: it starts with the credentials that are current then. */
    override initializePool(config?: Knex.Config): void {
      super.initializePool(config);
      if (this.pooled && !this.pooled.ended) return;
      this.pooled = new PooledClients(credentials$, this.connectionSettings, {
        ...options,
        reclaim: (connection) => void this.releaseConnection(connection),
        onEnd: () => void this.destroy(),
      });
    }

    /** @internal Opens one connection; Knex then asks for the version and sets the search path. */
    _acquireOnlyConnection(): Promise<PooledClient> {
      return (this.pooled as PooledClients).connectWithRetry(async () => {
        const connection: KnexConnection = (this.pooled as PooledClients).create(
          this.connectionSettings as ClientConfig,
        );
        connection.on('error', (error) => {
          if (!connection.superseded) connection.__knex__disposed = error;
        });
        connection.once('end', () => {
          if (!connection.superseded) connection.__knex__disposed = 'Connection ended unexpectedly';
        });
        await connection.connect();
        return connection;
      });
    }

    override async acquireConnection(): Promise<unknown> {
      // The error of Knex would not have the reason.
      if (this.pooled?.failure) throw this.pooled.failure;
      return super.acquireConnection();
    }

    override async validateConnection(connection: PooledClient): Promise<boolean> {
      const lendable = connection.checkLendable();
      // After an expiry without newer credentials, the login of the next connection reports the reason.
      return (!lendable || (await lendable.catch(() => false))) && connection.lend();
    }

    override async releaseConnection(connection: PooledClient): Promise<void> {
      connection.giveBack();
      // A reclaimed connection may be released once more, after Knex was destroyed.
      if (this.pool) await super.releaseConnection(connection);
    }

    override async destroy(callback?: (error?: unknown) => void): Promise<void> {
      const { pooled } = this;
      // The rotation ends last, as Knex still opens the connections that callers wait for.
      await super.destroy(callback).finally(() => pooled?.end());
    }
  };
}

function connectionOf({ connection = {} }: Knex.Config): Knex.PgConnectionConfig {
  if (typeof connection === 'object')
    return refuseCredentials(connection as Knex.PgConnectionConfig, CREDENTIALS);
  throw new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `The \`connection\` of a rotating Knex is a ${typeof connection}.`,
    hint: 'Give an object with `host`, `port`, `database` and `ssl`; user and password come from the stream.',
  });
}
