import type { DynamicModule } from '@nestjs/common';
import type { PoolEvent } from 'nestjs-vault/pg';

/** Where the database is, and what the pool is allowed. */
export interface DatabaseConfig {
  host: string;
  port: number;
  database: string;
  /** Connections at most. */
  max: number;
  /** Milliseconds; at least as long as the longest transaction. */
  drain: number;
  /** As `pg_stat_activity` shows the connections. */
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
  name: string;
  /** Provides and exports {@link STORE}, on credentials of a database role, as its users would wire it. */
  module(role: string, database: DatabaseConfig): DynamicModule;
}

/** Each loads its library only where it is wanted. */
export const VARIANTS: Readonly<Record<string, () => Promise<Variant>>> = {
  pg: async () => (await import('./variants/pg.js')).pgVariant,
};

/** What the superuser prepares: a role without login owns the rights, and leased users are members of it. */
export const SETUP = `
  create role soak_app nologin;
  create table things (id int primary key, value int not null);
  insert into things select id, 0 from generate_series(1, 1000) id;
  create table notes (id bigint generated always as identity primary key, text text not null);
  grant select, update on things to soak_app;
  grant select, insert on notes to soak_app;
`;

export const CREATION = [
  `create role "{{name}}" with login password '{{password}}' valid until '{{expiration}}' in role soak_app`,
];
export const REVOCATION = ['drop role if exists "{{name}}"'];
