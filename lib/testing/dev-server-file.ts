import type { SimulatedLeasedSecret } from './backends/custom-engine.js';
import type { Capability } from './server/acl.js';
import type { SimulatedDatabaseRole, SimulatedStaticRole } from './simulated-namespace.js';
import type { SimulatedAppRole } from './simulated-roles.js';

/**
 * The file of `nestjs-vault dev`: the default export of `vault.dev.mjs`, or the content of `vault.dev.json`. Names are
 * keys; durations are seconds or texts like `'30s'`.
 *
 * @example
 * ```js
 * // vault.dev.mjs
 * /** @type {import('nestjs-vault/testing').DevServerFile} *\/
 * export default {
 *   databases: {
 *     shop: {
 *       url: 'postgresql://postgres:postgres@127.0.0.1:5432/shop',
 *       roles: {
 *         orders: {
 *           defaultTtl: '30s',
 *           maxTtl: '60s',
 *           creationStatements: [`CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' IN ROLE orders_app`],
 *           revocationStatements: ['DROP ROLE IF EXISTS "{{name}}"'],
 *         },
 *       },
 *     },
 *   },
 *   kv: { payments: { apiKey: 'key-for-development' } },
 * };
 * ```
 *
 * @publicApi
 */
export interface DevServerFile {
  /** Product whose answers the simulated server gives. @default 'openbao' */
  dialect?: 'openbao' | 'vault';
  /** Databases in which the server creates users, by name. */
  databases?: Readonly<Record<string, DevDatabase>>;
  /** KV secrets below the mount `secret` (version 2), by path. */
  kv?: Readonly<Record<string, DevSecret>>;
  /** KV secrets below other mounts. */
  kvMounts?: Readonly<Record<string, DevKvMount>>;
  /** Policies: HCL, or capabilities by path, such as `{ 'secret/data/*': ['read'] }`. */
  policies?: Readonly<Record<string, string | Readonly<Record<string, readonly Capability[]>>>>;
  /** Logins of applications; the variables of the first are printed. @default one with the name `app` */
  appRoles?: Readonly<Record<string, DevAppRole>>;
  /**
   * Secrets with a lease of engines that the simulated server does not have, by path, such as `rabbitmq/creds/orders`.
   * A real server (`--server`) does not get them.
   */
  leasedSecrets?: Readonly<Record<string, DevLeasedSecret>>;
}

/**
 * The values of a KV secret.
 *
 * @publicApi
 */
export type DevSecret = Readonly<Record<string, unknown>>;

/**
 * A KV secrets engine of a {@link DevServerFile}.
 *
 * @publicApi
 */
export interface DevKvMount {
  /** @default 2 */
  version?: 1 | 2;
  secrets: Readonly<Record<string, DevSecret>>;
}

/**
 * A database of a {@link DevServerFile}.
 *
 * @publicApi
 */
export interface DevDatabase {
  /**
   * URL with the login of an administrator: `postgresql://user:password@host:port/database`, `mysql://…` or
   * `mariadb://…`. The package `pg` or `mysql2` of the application connects. Without a URL, users exist in the memory of
   * the simulated server only.
   */
  url?: string;
  /** SQL that runs at each start, before the roles are set up: tables and group roles, `IF NOT EXISTS`. */
  prepare?: readonly string[];
  /** Host and port at which a real server (`--server`) reaches the database, such as `postgres:5432` in Docker. */
  addressOnServer?: string;
  /** Mount of the secrets engine. @default 'database' */
  mount?: string;
  /** Each read of `database/creds/<name>` creates a user. */
  roles?: Readonly<Record<string, Omit<SimulatedDatabaseRole, 'mount'>>>;
  /** Existing users whose password the server rotates, read at `database/static-creds/<name>`. */
  staticRoles?: Readonly<Record<string, Omit<SimulatedStaticRole, 'mount'>>>;
}

/**
 * An AppRole of a {@link DevServerFile}. Its secret_id stays the same over restarts, without expiry.
 *
 * @publicApi
 */
export interface DevAppRole extends Pick<
  SimulatedAppRole,
  | 'tokenTtl'
  | 'tokenMaxTtl'
  | 'tokenExplicitMaxTtl'
  | 'tokenPeriod'
  | 'tokenNumUses'
  | 'tokenType'
  | 'tokenNoDefaultPolicy'
> {
  /** @default the name */
  roleId?: string;
  /** @default one that allows to read all that this file sets up */
  policies?: readonly string[];
}

/**
 * A leased secret of a {@link DevServerFile}; each read returns the same data, with a lease of its own.
 *
 * @publicApi
 */
export interface DevLeasedSecret extends Omit<SimulatedLeasedSecret, 'data'> {
  data: DevSecret;
}
