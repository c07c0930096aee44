import type { ClientConfig } from 'pg';
import type { Observable } from 'rxjs';
import type { ConnectionOptions, Options, Sequelize } from 'sequelize';
import { checkDriver } from '../driver/check-driver.js';
import type { LibraryRotationOptions } from '../rotation/library-options.js';
import { types } from '../pg/pg-exports.js';
import { PooledClients, type PooledClient } from '../pg/pooled-clients.js';
import { isLoginRejected } from '../pg/rejection.js';
import { refuseCredentials } from '../rotation/pool-kind.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';

/** Options that would override the leased credentials. @inline */
interface NoCredentials {
  username?: never;
  password?: never;
}

/**
 * The options of Sequelize 6 for PostgreSQL, without credentials.
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

/** Sequelize's connection manager, with members that its types leave out. */
type ConnectionManager = Sequelize['connectionManager'] & {
  pool: ConnectionPool;
  connect(config: object): Promise<PooledClient>;
};

/** The pool of Sequelize, with and without `replication`. */
interface ConnectionPool {
  acquire(...kind: unknown[]): Promise<PooledClient>;
  destroy(connection: PooledClient): unknown;
}

/** A connection with the fields that Sequelize sets, and reads in its own `validate`. */
type SequelizeConnection = PooledClient & { _invalid?: boolean; _ending?: boolean };

/**
 * Options for a Sequelize whose connections log in with these credentials; with `replication`, new credentials are
 * verified at each server. All pooled connections rotate: idle ones of earlier credentials are closed at once, busy ones
 * when they are released, at the latest after the drain window. Create the options for one instance of Sequelize, which
 * is closed when the stream completes. `connectionManager.close()` releases the credentials, and `initPools()` starts
 * with those that are current then.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` for options that name `username` or `password`, or another driver; when
 * Sequelize connects, `VAULT_DRIVER_TOO_OLD`
 * @publicApi
 */
export function rotatingSequelizeOptions<T extends RotatingSequelizeOptions>(
  credentials$: Observable<LoginCredentials>,
  options: T,
  rotation: LibraryRotationOptions = {},
): T & Options {
  checkOptions(options);
  /** The clients of each server; replaced when the pools are opened again. */
  let servers = new Map<string, PooledClients>();
  let closed = false;
  const managers = new Set<ConnectionManager>();
  const onEnd = () => {
    for (const manager of managers) void manager.close();
  };

  class Client {
    constructor(config: ClientConfig) {
      // The value parsers of Sequelize are not for the connections that verify a login.
      const { types: _types, ...rest } = config;
      const name = serverOf(config);
      const server = servers.get(name) ?? new PooledClients(credentials$, rest, { ...rotation, onEnd });
      servers.set(name, server);
      return server.create(config) as unknown as Client;
    }
  }

  /** Patches a connection manager; its first `beforeConnect` hook is the earliest moment at which it is known. */
  const attach = (manager: ConnectionManager) => {
    if (managers.has(manager)) return;
    checkDriver('sequelize', { imported: false });
    managers.add(manager);
    const connect = manager.connect.bind(manager);
    const releaseConnection = manager.releaseConnection.bind(manager);
    const close = manager.close.bind(manager);
    const initPools = manager.initPools.bind(manager);
    checkLeases(manager.pool);
    manager.connect = (config) => {
      // Creates the client in this call, and with the first client its server.
      let first: Promise<PooledClient> | undefined = connect(config);
      const server = servers.get(serverOf(config)) as PooledClients;
      const next = () => {
        const connecting = first ?? connect(config);
        first = undefined;
        return connecting;
      };
      return server.connectWithRetry(next, (error) =>
        isLoginRejected((error as { parent?: unknown }).parent),
      );
    };
    manager.releaseConnection = (connection) => {
      (connection as PooledClient).giveBack();
      releaseConnection(connection);
    };
    manager.close = async () => {
      const closing = servers;
      closed = true;
      // The rotations end last, as Sequelize still opens the connections that callers wait for.
      await close().finally(() => closing.forEach((server) => server.end()));
    };
    manager.initPools = () => {
      if (closed) servers = new Map();
      closed = false;
      initPools();
      checkLeases(manager.pool);
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
      // Sequelize calls it just before it lends a connection.
      validate: (client) => {
        const connection = client as SequelizeConnection;
        if (connection._invalid || connection._ending || pool?.validate?.(client) === false) return false;
        return connection.lend();
      },
    },
  };
}

/** Makes the pool wait until the lease of a connection is known to be valid; its own `validate` is synchronous. */
function checkLeases(pool: ConnectionPool): void {
  const acquire = pool.acquire.bind(pool);
  pool.acquire = async (...kind) => {
    for (;;) {
      const connection = await acquire(...kind);
      const lendable = connection.checkLendable();
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

/** Identifies the server in the config of one connection. */
function serverOf({ host, port, database }: ClientConfig): string {
  return JSON.stringify([host, port, database]);
}

function checkOptions(options: RotatingSequelizeOptions): void {
  const { native, replication } = options;
  refuseCredentials(options, { username: 'username', password: 'password' });
  refuseCredentials(options, { dialectModule: 'dialectModule', dialectModulePath: 'dialectModulePath' });
  refuseCredentials({ native: native || undefined }, { native: 'native' });
  for (const server of replication ? [replication.write, ...replication.read] : []) {
    refuseCredentials(server, { username: 'replication.username', password: 'replication.password' });
  }
}
