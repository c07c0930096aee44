import type { VaultOptions } from 'nestjs-vault';
import type { DatabaseConfig } from '../variant.js';

/** The settings of the application, as JSON in the variable `SOAK_APPLICATION`. */
export interface ApplicationConfig {
  variant: string;
  /** The role of the database engine. */
  role: string;
  vault: Omit<VaultOptions, 'auth' | 'tls'> & { auth: SoakAuth };
  database: DatabaseConfig;
  /** The port of 127.0.0.1 at which Prometheus reads its metrics. */
  metricsPort?: number;
  /** A KV secret that it watches. */
  watched?: string;
}

/** An AppRole; with `file`, its secret_id (or a token that wraps one) is read from there at each login. */
export interface SoakAuth {
  roleId: string;
  secretId: string;
  file?: { path: string; wrapped: boolean };
}

/** A status without its counters and times. */
export interface ReportedStatus {
  health: string;
  /** Why the token or the lease is not valid, or why the last attempt failed: error codes, or the pending action. */
  reasons: string[];
}

/** The reports of the application, each with its time; milliseconds since 1970. */
export type AppReport = { at: number } & (
  | { type: 'ready'; url: string }
  | { type: 'event'; event: string; reason?: string; error?: string; message?: string }
  | { type: 'pool'; event: string; count?: number; message?: string }
  | ({ type: 'status' } & ReportedStatus)
  /** Secrets to search for in all output; never part of a report. */
  | { type: 'canary'; value: string }
);

/** Bytes, after a garbage collection. */
export interface Measured {
  heapUsed: number;
  rss: number;
}
