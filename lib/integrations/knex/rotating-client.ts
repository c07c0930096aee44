import knex, { type Knex } from 'knex';
import type { ClientConfig } from 'pg';
import type { Observable } from 'rxjs';
import { VaultError } from '../../errors/vault-error.js';
import { checkDriver } from '../driver/check-driver.js';
import type { LibraryRotationOptions } from '../pg/library-options.js';
import { PooledClients, type PooledClient } from '../pg/pooled-clients.js';
import { withoutCredentials } from '../pg/without-credentials.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';

const CREDENTIALS = {
  user: 'connection.user',
  password: 'connection.password',
  connectionString: 'connection.connectionString',
};

/** Knex notes here why it will not hand a connection out again, and warns of it then. */
type KnexConnection = PooledClient & { __knex__disposed?: unknown };

/**
 * For the option `client` of Knex: PostgreSQL, with these credentials. All pooled connections rotate: idle ones of
 * earlier credentials are closed at once, busy ones when they are released, at the latest after the drain window.
 * `connection` names no user and no password; all else, the options of `pool` too, is as with `client: 'pg'`. Make
 * one for each instance of Knex. `destroy()` is called when the stream completes, unless that was done before.
 *
 * @throws VaultError when Knex is called: `VAULT_CONFIG_INVALID` for a `connection` that is no object, or names
 * `user`, `password` or a `connectionString`; `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export function rotatingClient(
  credentials$: Observable<LoginCredentials>,
  options: LibraryRotationOptions = {},
): typeof Knex.Client {
  checkDriver('knex');
  // Knex's client for PostgreSQL has no name outside of Knex.
  const Postgres = knex({ client: 'pg' }).client.constructor as typeof Knex.Client;

  return class RotatingClient extends Postgres {
    // A plain property: transactions and copies are made by way of the prototype, without the constructor. That of Knex
    // makes the pool.
    declare pooled: PooledClients | undefined;

    constructor(config: Knex.Config) {
      super({ ...config, connection: connectionOf(config) });
    }

    /** Also called by `initialize()` after `destroy()`: then it begins with the credentials that are current. */
    override initializePool(config?: Knex.Config): void {
      super.initializePool(config);
      if (this.pooled && !this.pooled.ended) return;
      this.pooled = new PooledClients(credentials$, this.connectionSettings, {
        ...options,
        takeBack: (connection) => void this.releaseConnection(connection),
        onEnd: () => void this.destroy(),
      });
    }

    /** @internal What Knex's own client does to connect, before it asks for the version and sets the search path. */
    _acquireOnlyConnection(): Promise<PooledClient> {
      return (this.pooled as PooledClients).connecting(async () => {
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
      // Knex says no more than that it cannot, or was aborted.
      if (this.pooled?.failure) throw this.pooled.failure;
      return super.acquireConnection();
    }

    override async validateConnection(connection: PooledClient): Promise<boolean> {
      const { lendable } = connection;
      // Where there is none, the login of the next one says why.
      return (!lendable || (await lendable.catch(() => false))) && connection.take();
    }

    override async releaseConnection(connection: PooledClient): Promise<void> {
      connection.giveBack();
      // It may have been taken back, and Knex destroyed, before its user gives it back.
      if (this.pool) await super.releaseConnection(connection);
    }

    override async destroy(callback?: (error?: unknown) => void): Promise<void> {
      const { pooled } = this;
      // First, as connections that are waited for are still made.
      await super.destroy(callback).finally(() => pooled?.end());
    }
  };
}

function connectionOf({ connection = {} }: Knex.Config): Knex.PgConnectionConfig {
  if (typeof connection === 'object')
    return withoutCredentials(connection as Knex.PgConnectionConfig, CREDENTIALS);
  throw new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `The \`connection\` of a rotating Knex is a ${typeof connection}.`,
    hint: 'Give an object with `host`, `port`, `database` and `ssl`; user and password come from the stream.',
  });
}
