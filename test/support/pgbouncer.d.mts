import type { PostgresServer, RunningServer } from './servers.mjs';

export interface PgBouncerServer extends RunningServer {
  readonly host: string;
  /** The user of PgBouncer in the database, and the schema of its function. */
  readonly name: string;
  readonly password: string;
  /** Runs a command of the admin console. */
  console: (command: string) => Promise<Record<string, unknown>[]>;
}

export interface PgBouncerOptions {
  port?: number;
  /** The role whose members may log in. */
  group: string;
  /** Further settings of the section `[pgbouncer]`, or other values. */
  settings?: Record<string, string | number>;
  /**
   * Whether `auth_query` returns a secret that no password fits for an unknown user, as in the guide. Otherwise
   * PgBouncer ends the login before it asks for the password. Default: true.
   */
  unknownUsers?: boolean;
}

export function pgBouncerAvailable(): { ok: true } | { ok: false; reason: string };

/** Starts PgBouncer in front of a PostgreSQL, with two databases: `transaction` and `session`, named by pool mode. */
export function startPgBouncer(postgres: PostgresServer, options: PgBouncerOptions): Promise<PgBouncerServer>;
