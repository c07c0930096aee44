import type {
  DatabaseRole,
  OpenBaoServer,
  Provisioned,
  ProvisionOptions,
  RunningServer,
} from './servers.mjs';

export interface MariaDbServer extends RunningServer {
  readonly host: string;
  readonly database: string;
  readonly superuser: string;
  readonly password: string;
  /** As the superuser, on a connection of its own; several statements are separated by `;`. */
  query: <R = Record<string, unknown>>(sql: string, params?: unknown[]) => Promise<R[]>;
}

export interface StaticDatabaseRole {
  name: string;
  /** An existing user; the server sets a password of its own at once. */
  username: string;
  rotationPeriod: string;
}

export interface MariaDbProvisionOptions extends Omit<ProvisionOptions, 'databaseMount' | 'connectionName'> {
  /** Default: one role `orders`, 3s and 6s, with a grant on all of the database `orders`. */
  roles?: DatabaseRole[];
  staticRoles?: StaticDatabaseRole[];
  /** The user that the secrets engine logs in as. Default: the superuser. */
  admin?: { username: string; password: string };
}

export function mariaDbAvailable(): { ok: true } | { ok: false; reason: string };
export function startMariaDb(options?: {
  port?: number;
  dir?: string;
  tls?: { certFile: string; keyFile: string };
}): Promise<MariaDbServer>;

/** The database secrets engine for MariaDB, and all else that `provision` makes. */
export function provisionMariaDb(
  bao: OpenBaoServer,
  mariadb: MariaDbServer,
  options?: MariaDbProvisionOptions,
): Promise<Provisioned>;

/** Names of the users that the database secrets engine has in the database at this moment. */
export function usersInMariaDb(mariadb: MariaDbServer): Promise<string[]>;

/** The leased users of the connections that are open at this moment; one name for each connection. */
export function connectionsInMariaDb(mariadb: MariaDbServer): Promise<string[]>;
