import type { PostgresServer, RunningServer } from './servers.mjs';

export interface PgBouncerServer extends RunningServer {
  readonly host: string;
  /** Its own user in the database, and the schema of its function. */
  readonly name: string;
  readonly password: string;
  /** A command of its admin console. */
  console: (command: string) => Promise<Record<string, unknown>[]>;
}

export interface PgBouncerOptions {
  port?: number;
  /** The role whose members may log in. */
  group: string;
  /** More of the section `[pgbouncer]`, or other values. */
  settings?: Record<string, string | number>;
  /**
   * Whether a user who is not there has a secret that no password fits, as the guide has it. Otherwise PgBouncer breaks
   * the login off before it has asked for the password. Default: true.
   */
  unknownUsers?: boolean;
}

export function pgBouncerAvailable(): { ok: true } | { ok: false; reason: string };

/** In front of a PostgreSQL, as two databases: `transaction` and `session`, each in the pool mode of its name. */
export function startPgBouncer(postgres: PostgresServer, options: PgBouncerOptions): Promise<PgBouncerServer>;
