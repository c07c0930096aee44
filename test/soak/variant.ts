import type { DynamicModule } from '@nestjs/common';
import type { PoolEvent } from 'nestjs-vault/pg';
import type { BackendName } from './backends/backend.js';

/** Where the database is, and what the pool is allowed. */
export interface DatabaseConfig {
  host: string;
  port: number;
  database: string;
  /** Connections at most. */
  max: number;
  /** Milliseconds; at least as long as the longest transaction. */
  drain: number;
  /** As `pg_stat_activity` shows the connections; MariaDB shows the user. */
  application: string;
}

/** The work that the load asks for, done with one library. Every statement needs the privileges of the leased user. */
export interface Store {
  /** A short read or write, on whichever connection is free. */
  query(): Promise<void>;
  /** Reads and writes on one connection for about so many milliseconds, committed at the end. */
  transaction(milliseconds: number): Promise<void>;
  /** Rows that come one batch after the other, for about so many milliseconds. */
  cursor(milliseconds: number): Promise<void>;
  /** What happens to the pool. */
  onRotation(listener: (event: PoolEvent) => void): void;
}

/** Token of the {@link Store}. */
export const STORE = 'SOAK:STORE';

/** One library over leased credentials. */
export interface Variant {
  /** Provides and exports {@link STORE}, on credentials of a database role, as its users would wire it. */
  module(role: string, database: DatabaseConfig): DynamicModule;
}

/** Each loads its library only where it is wanted. */
export const VARIANTS: Readonly<Record<string, { backend: BackendName; load: () => Promise<Variant> }>> = {
  pg: { backend: 'postgres', load: async () => (await import('./variants/pg.js')).pgVariant },
  typeorm: { backend: 'postgres', load: async () => (await import('./variants/typeorm.js')).typeormVariant },
  prisma: { backend: 'postgres', load: async () => (await import('./variants/prisma.js')).prismaVariant },
  mariadb: { backend: 'mariadb', load: async () => (await import('./variants/mariadb.js')).mariadbVariant },
};
