import type { DynamicModule } from '@nestjs/common';
import type { PoolEvent } from 'nestjs-vault/pg';
import type { BackendName } from './backends/backend.js';

/** The address of the database, and the limits of the pool. */
export interface DatabaseConfig {
  host: string;
  port: number;
  database: string;
  /** Connections at most. */
  max: number;
  /** Milliseconds; at least as long as the longest transaction. */
  drain: number;
  /** The name of the connections in `pg_stat_activity`; MariaDB shows the user instead. */
  application: string;
}

/** The work of the load, done with one library. Every statement needs the privileges of the leased user. */
export interface Store {
  /** A short read or write, on any free connection. */
  query(): Promise<void>;
  /** Reads and writes on one connection for about so many milliseconds, committed at the end. */
  transaction(milliseconds: number): Promise<void>;
  /** Reads rows batch by batch, for about so many milliseconds. */
  cursor(milliseconds: number): Promise<void>;
  /** The events of the pool. */
  onRotation(listener: (event: PoolEvent) => void): void;
}

/** Token of the {@link Store}. */
export const STORE = 'SOAK:STORE';

/** One library over leased credentials. */
export interface Variant {
  /** Provides and exports {@link STORE}, on credentials of a database role, wired as an application would. */
  module(role: string, database: DatabaseConfig): DynamicModule;
}

/** Each variant loads its library on first use. */
export const VARIANTS: Readonly<Record<string, { backend: BackendName; load: () => Promise<Variant> }>> = {
  pg: { backend: 'postgres', load: async () => (await import('./variants/pg.js')).pgVariant },
  typeorm: { backend: 'postgres', load: async () => (await import('./variants/typeorm.js')).typeormVariant },
  prisma: { backend: 'postgres', load: async () => (await import('./variants/prisma.js')).prismaVariant },
  mariadb: { backend: 'mariadb', load: async () => (await import('./variants/mariadb.js')).mariadbVariant },
};
