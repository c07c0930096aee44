import type { VaultOptions } from 'nestjs-vault';
import type { DatabaseConfig } from '../variant.js';

/** What the application is started with, as JSON in the variable `SOAK_APPLICATION`. */
export interface ApplicationConfig {
  variant: string;
  /** Of the database engine. */
  role: string;
  vault: Omit<VaultOptions, 'auth' | 'tls'> & { auth: { roleId: string; secretId: string } };
  database: DatabaseConfig;
}

/** A status without its counters and times. */
export interface ToldStatus {
  health: string;
  /** Why the token or the lease is not valid, or the last try failed: codes of errors, or what is to be done. */
  reasons: string[];
}

/** What the application tells by itself, with the time it happened; milliseconds since 1970. */
export type Told = { at: number } & (
  | { type: 'ready'; url: string }
  | { type: 'event'; event: string; reason?: string; error?: string; message?: string }
  | { type: 'pool'; event: string; count?: number; message?: string }
  | ({ type: 'status' } & ToldStatus)
  /** For the search through everything that was printed; kept apart from what is told. */
  | { type: 'canary'; value: string }
);

/** Bytes, after a collection. */
export interface Measured {
  heapUsed: number;
  rss: number;
}
