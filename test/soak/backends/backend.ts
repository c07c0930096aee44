import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenBaoServer, Provisioned, ProvisionOptions } from '../../support/servers.mjs';

export type BackendName = 'postgres' | 'mariadb';

/** The role of the database engine, and how long what it issues lives. */
export interface Lease {
  name: string;
  defaultTtl: string;
  maxTtl: string;
}

/** A database server with the table that all variants work on. */
export interface Backend {
  /** Where applications find it. */
  readonly where: { host: string; port: number; database: string };
  /** Has OpenBao make users of it who can do the work, and an AppRole that gets them. */
  provision(
    bao: OpenBaoServer,
    lease: Lease,
    options: Pick<ProvisionOptions, 'policy' | 'approle'>,
  ): Promise<Provisioned>;
  /** How many users of OpenBao's are in it. */
  users(): Promise<number>;
  /** Who the connections of the applications are logged in as: one for each connection. */
  connections(): Promise<string[]>;
  stop(): Promise<void>;
}

export interface BackendKind {
  /** Why it cannot be started here. */
  missing(): string | undefined;
  start(): Promise<Backend>;
}

/** As many as the longest cursor reads, and some. */
export const ROWS = 3_000;

export const POLICY = `
path "database/creds/*"         { capabilities = ["read"] }
path "sys/leases/renew"         { capabilities = ["update"] }
path "sys/leases/lookup"        { capabilities = ["update"] }
path "auth/token/renew-self"    { capabilities = ["update"] }
path "auth/token/revoke-self"   { capabilities = ["update"] }
path "auth/token/lookup-self"   { capabilities = ["read"] }
`;

/** What is left when nothing is, or when so many milliseconds are over. */
export async function atLast(within: number, count: () => Promise<number>): Promise<number> {
  for (const end = Date.now() + within; ; await sleep(200)) {
    const left = await count();
    if (left === 0 || Date.now() > end) return left;
  }
}
