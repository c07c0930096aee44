import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenBaoServer, Provisioned, ProvisionOptions } from '../../support/servers.mjs';

export type BackendName = 'postgres' | 'mariadb';

/** The role of the database engine, and its TTLs. */
export interface Lease {
  name: string;
  defaultTtl: string;
  maxTtl: string;
}

/** A database server with the table that all variants work on. */
export interface Backend {
  /** The address for applications. */
  readonly where: { host: string; port: number; database: string };
  /** Sets up OpenBao: a role whose users can do the work, and an AppRole that may read its credentials. */
  provision(
    bao: OpenBaoServer,
    lease: Lease,
    options: Pick<ProvisionOptions, 'policy' | 'approle'>,
  ): Promise<Provisioned>;
  /** The number of leased users in the database. */
  users(): Promise<number>;
  /** The users of the applications' connections: one entry for each connection. */
  connections(): Promise<string[]>;
  stop(): Promise<void>;
}

export interface BackendKind {
  /** The reason why it cannot be started here. */
  missing(): string | undefined;
  start(): Promise<Backend>;
}

/** More rows than the longest cursor reads. */
export const ROWS = 3_000;

export const POLICY = `
path "database/creds/*"         { capabilities = ["read"] }
path "sys/leases/renew"         { capabilities = ["update"] }
path "sys/leases/lookup"        { capabilities = ["update"] }
path "auth/token/renew-self"    { capabilities = ["update"] }
path "auth/token/revoke-self"   { capabilities = ["update"] }
path "auth/token/lookup-self"   { capabilities = ["read"] }
`;

/** Waits until nothing is left, at most so many milliseconds; returns the rest. */
export async function atLast(within: number, count: () => Promise<number>): Promise<number> {
  for (const end = Date.now() + within; ; await sleep(200)) {
    const left = await count();
    if (left === 0 || Date.now() > end) return left;
  }
}
