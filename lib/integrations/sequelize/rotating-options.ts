import type { ClientConfig } from 'pg';
import type { Observable } from 'rxjs';
import type { ConnectionOptions, Options, Sequelize } from 'sequelize';
import { checkDriver } from '../driver/check-driver.js';
import type { LibraryRotationOptions } from '../pg/library-options.js';
import { types } from '../pg/parts.js';
import { PooledClients, type PooledClient } from '../pg/pooled-clients.js';
import { refuses } from '../pg/refusal.js';
import { withoutCredentials } from '../pg/without-credentials.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';

/** Nothing that would override the leased credentials, or the driver that knows them. */
interface NoCredentials {
  username?: never;
  password?: never;
}

/**
 * The options of Sequelize 6 for PostgreSQL, but for the credentials.
 *
 * @publicApi
 */
export type RotatingSequelizeOptions = Omit<Options, keyof NoCredentials | 'dialect' | 'replication'> &
  NoCredentials & {
    dialect: 'postgres';
    native?: false;
    dialectModule?: never;
    dialectModulePath?: never;
    replication?: {
      read: (Omit<ConnectionOptions, keyof NoCredentials> & NoCredentials)[];
      write: Omit<ConnectionOptions, keyof NoCredentials> & NoCredentials;
    };
  };

/** Of Sequelize's connection manager, what its types leave out. */
type ConnectionManager = Sequelize['connectionManager'] & {
  pool: ConnectionPool;
  connect(config: object): Promise<PooledClient>;
};

/** Sequelize's own, also with `replication`. */
interface ConnectionPool {
  acquire(...kind: unknown[]): Promise<PooledClient>;
  destroy(connection: PooledClient): unknown;
}

/** What Sequelize notes of a connection, and reads in its own `validate`. */
type SequelizeConnection = PooledClient & { _invalid?: boolean; _ending?: boolean };

/**
 * Options for a Sequelize whose connections log in with these credentials; each server under `replication` has its
 * own proof. All pooled connections rotate: idle ones of earlier credentials are closed at once, busy ones when they
 * are released, at the latest after the drain window. Make them for one instance of Sequelize, which is closed when
 * the stream completes, unless it was before. `connectionManager.close()` lets go of the credentials, and `initPools()`
 * begins with those that are current then.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` for options that name `username` or `password`, or another driver; when Sequelize connects, `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export function rotatingOptions<T extends RotatingSequelizeOptions>(
  credentials$: Observable<LoginCredentials>,
  options: T,
  rotation: LibraryRotationOptions = {},
): T & Options {
  refuse(options);
  /** From one opening of the pools to their close. */
  let servers = new Map<string, PooledClients>();
  let closed = false;
  const managers = new Set<ConnectionManager>();
  const onEnd = () => {
    for (const manager of managers) void manager.close();
  };

  class Client {
    constructor(config: ClientConfig) {
      // Sequelize's parsers of values are for Sequelize.
      const { types: _types, ...where } = config;
      const name = nameOf(config);
      const server = servers.get(name) ?? new PooledClients(credentials$, where, { ...rotation, onEnd });
      servers.set(name, server);
      return server.create(config) as unknown as Client;
    }
  }

  /** At the first moment that an instance is known here. */
  const attach = (manager: ConnectionManager) => {
    if (managers.has(manager)) return;
    checkDriver('sequelize', { imported: false });
    managers.add(manager);
    const connect = manager.connect.bind(manager);
    const releaseConnection = manager.releaseConnection.bind(manager);
    const close = manager.close.bind(manager);
    const initPools = manager.initPools.bind(manager);
    guard(manager.pool);
    manager.connect = (config) => {
      // Makes the client in this very moment, and the first one its server.
      let begun: Promise<PooledClient> | undefined = connect(config);
      const server = servers.get(nameOf(config)) as PooledClients;
      const next = () => {
        const connecting = begun ?? connect(config);
        begun = undefined;
        return connecting;
      };
      return server.connecting(next, (error) => refuses((error as { parent?: unknown }).parent));
    };
    manager.releaseConnection = (connection) => {
      (connection as PooledClient).giveBack();
      releaseConnection(connection);
    };
    manager.close = async () => {
      const leaving = servers;
      closed = true;
      // First, as connections that are waited for are still made.
      await close().finally(() => leaving.forEach((server) => server.end()));
    };
    manager.initPools = () => {
      if (closed) servers = new Map();
      closed = false;
      initPools();
      guard(manager.pool);
    };
  };

  const { hooks, pool } = options;
  return {
    ...options,
    dialectModule: { Client, types },
    hooks: {
      ...hooks,
      async beforeConnect(this: unknown, config) {
        attach((this as Sequelize).connectionManager as ConnectionManager);
        await hooks?.beforeConnect?.call(this, config);
      },
    },
    pool: {
      ...pool,
      // Called at the moment in which a connection is handed out.
      validate: (client) => {
        const connection = client as SequelizeConnection;
        if (connection._invalid || connection._ending || pool?.validate?.(client) === false) return false;
        return connection.take();
      },
    },
  };
}

/** Has the pool lend nothing whose lease may have ended; its own `validate` cannot wait. */
function guard(pool: ConnectionPool): void {
  const acquire = pool.acquire.bind(pool);
  pool.acquire = async (...kind) => {
    for (;;) {
      const connection = await acquire(...kind);
      const { lendable } = connection;
      try {
        if (!lendable || (await lendable)) return connection;
      } catch (error) {
        void pool.destroy(connection);
        throw error;
      }
      void pool.destroy(connection);
    }
  };
}

/** Of the config of one connection: its server. */
function nameOf({ host, port, database }: ClientConfig): string {
  return JSON.stringify([host, port, database]);
}

function refuse(options: RotatingSequelizeOptions): void {
  const { native, replication } = options;
  withoutCredentials(options, { username: 'username', password: 'password' });
  withoutCredentials(options, { dialectModule: 'dialectModule', dialectModulePath: 'dialectModulePath' });
  withoutCredentials({ native: native || undefined }, { native: 'native' });
  for (const server of replication ? [replication.write, ...replication.read] : []) {
    withoutCredentials(server, { username: 'replication.username', password: 'replication.password' });
  }
}
