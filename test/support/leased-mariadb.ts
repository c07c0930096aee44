import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { Module, type DynamicModule, type ModuleMetadata } from '@nestjs/common';
import type { TestingModule } from '@nestjs/testing';
import { appRole, CredentialsService, VaultModule } from 'nestjs-vault';
import type { LoginCredentials, RotatingMysqlPool } from 'nestjs-vault/mysql2';
import { tap, type Observable } from 'rxjs';
import { expect, vi } from 'vitest';
import { Applications } from './applications.js';
import {
  connectionsInMariaDb,
  provisionMariaDb,
  startMariaDb,
  usersInMariaDb,
  type MariaDbServer,
} from './mariadb.mjs';
import { startOpenBao, type OpenBaoServer, type Provisioned } from './servers.mjs';

/** `rotated` is the user of a static role; an operator made it. */
const SET_UP = `
  create table items (id int auto_increment primary key, item varchar(40) not null);
  create user rotated@'%' identified by 'before-the-server-knows-it';
  grant select, insert on orders.* to rotated@'%'`;

export interface LeasedMariaDbRole {
  /** At most 8 characters: OpenBao cuts longer names off in the names of users. */
  name: string;
  creation?: string[];
  revocation?: string[];
  /** Default: users of 3 s and at most 6 s. */
  long?: boolean;
}

/** An OpenBao whose database roles make users in a MariaDB, and the applications of one test file. */
export class LeasedMariaDb {
  readonly apps = new Applications();
  readonly bao: OpenBaoServer;
  readonly mariadb: MariaDbServer;
  readonly #approle: Provisioned;

  private constructor(bao: OpenBaoServer, mariadb: MariaDbServer, approle: Provisioned) {
    this.bao = bao;
    this.mariadb = mariadb;
    this.#approle = approle;
    this.apps.guard(approle.secretId, bao.rootToken, mariadb.password);
  }

  static async start(roles: LeasedMariaDbRole[]): Promise<LeasedMariaDb> {
    const [bao, mariadb] = await Promise.all([startOpenBao(), startMariaDb()]);
    await mariadb.query(SET_UP);
    const approle = await provisionMariaDb(bao, mariadb, {
      roles: roles.map(({ name, creation, revocation, long }) => ({
        name,
        defaultTtl: long ? '60s' : '3s',
        maxTtl: long ? '60s' : '6s',
        ...(creation && { creationStatements: creation }),
        ...(revocation && { revocationStatements: revocation }),
      })),
      staticRoles: [{ name: 'rotated', username: 'rotated', rotationPeriod: '5s' }],
      policy: 'path "database/+/*" { capabilities = ["read"] }',
      approle: { token_ttl: '20s', token_max_ttl: '60s' },
    });
    return new LeasedMariaDb(bao, mariadb, approle);
  }

  async stop(): Promise<void> {
    try {
      await this.apps.finish();
    } finally {
      await Promise.all([this.bao.stop(), this.mariadb.stop()]);
    }
  }

  /** For the config of a pool. */
  get where(): { host: string; port: number; database: string } {
    const { host, port, database } = this.mariadb;
    return { host, port, database };
  }

  get vault(): DynamicModule {
    const { roleId, secretId } = this.#approle;
    return VaultModule.forRoot({ address: this.bao.address, auth: appRole({ roleId, secretId }) });
  }

  /** An application with a VaultModule and these providers and imports. */
  async app(metadata: ModuleMetadata): Promise<TestingModule> {
    @Module({ ...metadata, imports: [this.vault, ...(metadata.imports ?? [])] })
    class AppModule {}
    return this.apps.start({ imports: [AppModule] });
  }

  /** Adds the passwords of these credentials to the texts that no log line may contain. */
  guarded(credentials$: Observable<LoginCredentials>): Observable<LoginCredentials> {
    return credentials$.pipe(
      tap((one) => {
        const { password } = 'data' in one ? (one.data.reveal() as { password: string }) : one;
        this.apps.guard(typeof password === 'string' ? password : password.reveal());
      }),
    );
  }

  /** Users of the open connections, one entry for each connection. */
  async connections(role: string): Promise<string[]> {
    return (await connectionsInMariaDb(this.mariadb)).filter((user) => user.startsWith(prefix(role)));
  }

  /** Users and connections of a role at this moment. */
  async left(role: string): Promise<{ users: string[]; connections: string[] }> {
    const users = (await usersInMariaDb(this.mariadb)).filter((user) => user.startsWith(prefix(role)));
    return { users, connections: await this.connections(role) };
  }

  /** Revokes all leases of the role, as an operator does after a suspected leak. */
  async revoke(role: string): Promise<void> {
    const { status } = await this.bao.api('PUT', `sys/leases/revoke-prefix/database/creds/${role}`);
    if (status !== 204) throw new Error(`The leases of ${role} could not be revoked (${status}).`);
  }
}

const prefix = (role: string) => `v-approle-${role}-`;

export function rotations(app: TestingModule): number {
  return app.get(CredentialsService).recentEvents.filter(({ type }) => type === 'rotated').length;
}

/** Makes the pool open new connections: sessions of a removed user go on, and only a new login fails. */
export async function refresh(pool: RotatingMysqlPool, connections = 4): Promise<void> {
  const one = async () => (await pool.promise().getConnection()).destroy();
  await Promise.all(Array.from({ length: connections }, one));
}

/**
 * Two passwords of a static role, with new connections all the time, as only logins use the password. A connection that
 * is in use all the time is neither marked for closing at a new password, nor cut off after the drain window.
 */
export async function underStaticRole(
  pool: RotatingMysqlPool,
  onTestFinished: (end: () => void) => void,
  rotated: () => number,
): Promise<void> {
  const kept = await pool.promise().getConnection();
  const superseded: unknown[] = [];
  kept.on('superseded', (until: unknown) => superseded.push(until));
  const churn = setInterval(() => void refresh(pool, 1).catch(() => undefined), 100);
  onTestFinished(() => clearInterval(churn));
  await vi.waitFor(() => expect(rotated()).toBeGreaterThanOrEqual(2), { timeout: 30_000, interval: 50 });
  clearInterval(churn);
  await kept.query('select 1');
  expect(superseded).toEqual([]);
  kept.release();
}

/** The calls of a load; a transaction awaits `work`, which takes 0.2 to 1.5 s. */
export interface Work {
  query: () => Promise<unknown>;
  transaction: (work: () => Promise<void>) => Promise<unknown>;
}

export interface Done {
  queries: number;
  transactions: number;
  failures: { at: number; error: Error }[];
}

/** Runs a query every 40 ms and two transactions at a time, until stopped, or until the test has finished. */
export function load(
  { query, transaction }: Work,
  note: (text: string) => void,
  onTestFinished: (end: () => void) => void,
): { done: Done; stop: () => Promise<Done> } {
  const done: Done = { queries: 0, transactions: 0, failures: [] };
  let running = true;
  const fail = (error: Error) => {
    done.failures.push({ at: performance.now(), error });
    note(inspect(error, { depth: 6 }));
  };
  const pending = new Set<Promise<unknown>>();
  const querying = async () => {
    while (running) {
      const one = query().then(() => done.queries++, fail);
      pending.add(one);
      void one.finally(() => pending.delete(one));
      await sleep(40);
    }
    await Promise.all(pending);
  };
  const transacting = async () => {
    while (running) {
      await transaction(() => sleep(200 + Math.random() * 1_300)).then(() => done.transactions++, fail);
      // A loop of immediate failures would leave no time for anything else.
      await sleep(5);
    }
  };
  const all = Promise.all([querying(), transacting(), transacting()]);
  onTestFinished(() => void (running = false));
  const stop = async () => {
    running = false;
    await all;
    return done;
  };
  return { done, stop };
}

/** The figures of a test, for people: SHOW=1. */
export function show(name: string, figures: object): void {
  if (process.env['SHOW']) process.stderr.write(`${name}: ${JSON.stringify(figures)}\n`);
}
