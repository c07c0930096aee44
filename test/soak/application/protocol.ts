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
  /** States of the token and of the lease, and why they are not valid. */
  session: string;
  lease: string;
  errors: string[];
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
