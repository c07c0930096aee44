import type { Clock } from '../../clock/clock.js';
import type { AccessControl } from './access-control.js';
import type { SimulatedCloud } from './cloud.js';
import type { SimulatedDirectory } from './directory.js';
import type { Faults } from './faults.js';
import type { LeaseStore } from './lease-store.js';
import type { Backend, Namespace } from './model.js';
import type { NodeStatus } from './node-status.js';
import type { RateLimits } from './rate-limits.js';
import type { Replication } from './replication.js';
import type { RequestLog } from './request-log.js';
import type { SecondFactors } from './second-factors.js';
import type { ServerTime } from './server-time.js';
import type { TokenStore } from './token-store.js';
import type { Wrapping } from './wrapping.js';

/**
 * The role that a statement belongs to, and its place in the list of the role.
 *
 * @publicApi
 */
export interface StatementOrigin {
  readonly role: string;
  readonly kind: 'creation' | 'renewal' | 'revocation' | 'rotation';
  /** The first one is 1. */
  readonly number: number;
}

/**
 * Runs one SQL statement on the database in which the simulated server creates users.
 *
 * @param database name of the connection to the database (`database/config/<name>`), `simulated` for roles that
 *   `databaseRole` and `staticRole` set up
 * @publicApi
 */
export type RunSql = (statement: string, database: string, origin: StatementOrigin) => Promise<unknown>;

/** The database in which users are created: a real one behind `sql`, or one in memory. */
export interface UserDatabase {
  /** Users that exist, with the deadline of their lease. */
  readonly users: Map<string, { password: string; expires: () => number }>;
  readonly sql: RunSql | undefined;
  /** Whether connections to it fail. */
  down: boolean;
}

/**
 * The parts of a simulated server. Backends and request handling declare the ones they use
 * (`Pick<ServerContext, 'time' | 'tokens'>`); stores take the stores below them.
 */
export interface ServerContext {
  readonly clock: Clock;
  readonly time: ServerTime;
  /** Whether it speaks the dialect of HashiCorp Vault; otherwise that of OpenBao. */
  readonly vault: boolean;
  readonly version: string;
  readonly clusterId: string;
  readonly node: NodeStatus;
  readonly replication: Replication;
  readonly tokens: TokenStore;
  readonly leases: LeaseStore;
  readonly access: AccessControl;
  readonly wrapping: Wrapping;
  readonly rateLimits: RateLimits;
  /** By path; the root namespace has the path `''`. */
  readonly namespaces: Map<string, Namespace>;
  readonly database: UserDatabase;
  readonly cloud: SimulatedCloud;
  readonly directory: SimulatedDirectory;
  readonly secondFactors: SecondFactors;
  readonly faults: Faults;
  readonly log: RequestLog;
}

/** Creates namespaces and backends. */
export interface Mounts {
  /** Creates a namespace with its default mounts. */
  addNamespace(path: string): Namespace;
  /** Creates a secrets engine by its name in the API. */
  backend(type: string, version?: string): Backend;
  /** Creates an auth method by its name in the API. */
  authMethod(type: string): Backend;
}
