import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { Module, type DynamicModule, type ModuleMetadata } from '@nestjs/common';
import type { TestingModule } from '@nestjs/testing';
import { delay, filter, tap, type Observable } from 'rxjs';
import { appRole, CredentialsService, VaultModule, type Secret } from 'nestjs-vault';
import type { LoginCredentials } from 'nestjs-vault/pg';
import { expect, vi } from 'vitest';
import { Applications } from './applications.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  usersInDatabase,
  type OpenBaoServer,
  type PostgresServer,
  type Provisioned,
} from './servers.mjs';

/** What the users of each role are members of; so they own nothing, and no GRANT on a table is needed for each. */
const SET_UP = `
  create role orders_app nologin;
  create role orders_owner nologin;
  create table orders (id bigint generated always as identity primary key, item text not null);
  alter table orders owner to orders_owner;
  grant select, insert, update, delete on orders to orders_app;
  grant usage, create on schema public to orders_owner;
  create role rotated with login password 'before-the-server-knows-it' in role orders_app`;

/** In the words of the guides. */
const CREATION = `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE orders_app`;
const REVOCATION = 'DROP ROLE IF EXISTS "{{name}}"';
/** Where a revoked lease has to mean that access is over. */
export const ENDING_REVOCATION = [
  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}'",
  REVOCATION,
];
/** For users that change the schema: what they make belongs to orders_owner. */
export const OWNER_CREATION = [
  CREATION.replace('orders_app', 'orders_owner'),
  'ALTER ROLE "{{name}}" SET role = orders_owner',
];

export interface LeasedRole {
  /** At most 8 characters, as more do not get into the names of users. */
  name: string;
  creation?: string[];
  revocation?: string[];
  /** Default: users of 3 s and at most 6 s. */
  long?: boolean;
}

/** An OpenBao whose database roles make users in a PostgreSQL, and the applications of one test file on them. */
export class LeasedPostgres {
  readonly apps = new Applications();
  readonly bao: OpenBaoServer;
  readonly postgres: PostgresServer;
  readonly #approle: Provisioned;

  private constructor(bao: OpenBaoServer, postgres: PostgresServer, approle: Provisioned) {
    this.bao = bao;
    this.postgres = postgres;
    this.#approle = approle;
    this.apps.guard(approle.secretId, bao.rootToken, postgres.password);
  }

  static async start(roles: LeasedRole[]): Promise<LeasedPostgres> {
    const [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
    await postgres.query(SET_UP);
    const approle = await provision(bao, postgres, {
      roles: roles.map(({ name, creation = [CREATION], revocation = [REVOCATION], long }) => ({
        name,
        defaultTtl: long ? '60s' : '3s',
        maxTtl: long ? '60s' : '6s',
        creationStatements: creation,
        revocationStatements: revocation,
      })),
      policy: 'path "database/+/*" { capabilities = ["read"] }',
      approle: { token_ttl: '20s', token_max_ttl: '60s' },
    });
    const { status } = await bao.api('POST', 'database/static-roles/rotated', {
      db_name: 'postgres',
      username: 'rotated',
      rotation_period: '5s',
    });
    expect(status).toBe(204);
    return new LeasedPostgres(bao, postgres, approle);
  }

  async stop(): Promise<void> {
    try {
      await this.apps.finish();
    } finally {
      await Promise.all([this.bao.stop(), this.postgres.stop()]);
    }
  }

  /** For the config of a pool. */
  get where(): { host: string; port: number; database: string } {
    const { host, port, database } = this.postgres;
    return { host, port, database };
  }

  get vault(): DynamicModule {
    const { roleId, secretId } = this.#approle;
    return VaultModule.forRoot({ address: this.bao.address, auth: appRole({ roleId, secretId }) });
  }

  /** An application with these providers and imports beside its VaultModule. */
  async app(metadata: ModuleMetadata): Promise<TestingModule> {
    @Module({ ...metadata, imports: [this.vault, ...(metadata.imports ?? [])] })
    class AppModule {}
    return this.apps.start({ imports: [AppModule] });
  }

  /** Has the passwords of these looked for in all that is logged. */
  guarded<T extends LoginCredentials>(credentials$: Observable<T>): Observable<T> {
    const passwordOf = (one: LoginCredentials) =>
      'data' in one ? (one.data as Secret<{ password: string }>).reveal().password : one.password.reveal();
    return credentials$.pipe(tap((one) => this.apps.guard(passwordOf(one))));
  }

  /** Users whose connections are open, one for each connection. */
  async connections(role: string): Promise<string[]> {
    const { rows } = await this.postgres.query<{ usename: string }>(
      'select usename from pg_stat_activity where usename like $1 order by usename',
      [`${prefix(role)}%`],
    );
    return rows.map(({ usename }) => usename);
  }

  /** Nothing of a role is left, once its application is closed. */
  async expectGone(role: string): Promise<void> {
    await eventually(async () => {
      const users = (await usersInDatabase(this.postgres)).filter((user) => user.startsWith(prefix(role)));
      expect({ users, connections: await this.connections(role) }).toEqual({ users: [], connections: [] });
    });
  }

  /** As an operator does who has doubts. */
  async revoke(role: string): Promise<void> {
    const { status } = await this.bao.api('PUT', `sys/leases/revoke-prefix/database/creds/${role}`);
    expect(status).toBe(204);
  }
}

const prefix = (role: string) => `v-approle-${role}-`;

function rotations(app: TestingModule): number {
  return app.get(CredentialsService).recentEvents.filter(({ type }) => type === 'rotated').length;
}

/** What a load does; `work` is what a transaction has to wait for, 0.2 to 1.5 s. */
export interface Work {
  query: () => Promise<unknown>;
  transaction: (work: () => Promise<void>) => Promise<unknown>;
}

/** A query each 40 ms and two transactions at a time, until told to stop. */
function load({ query, transaction }: Work, note: (text: string) => void) {
  const done = { queries: 0, transactions: 0, failures: [] as { at: number; code: string | undefined }[] };
  let running = true;
  const fail = (error: unknown) => {
    done.failures.push({ at: performance.now(), code: codeOf(error) });
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
    }
  };
  const all = Promise.all([querying(), transacting(), transacting()]);
  const stop = async () => {
    running = false;
    await all;
    return done;
  };
  return { done, stop };
}

/** The SQLSTATE; libraries wrap the errors of pg, each in its own way, and Prisma has codes of its own. */
function codeOf(error: unknown): string | undefined {
  const known = (error ?? {}) as Record<string, unknown>;
  const isState = (code: unknown): code is string => typeof code === 'string' && /^(?!P2)\w{5}$/.test(code);
  const own = [known['originalCode'], known['code']].find(isState);
  if (own) return own;
  const inner = ['driverError', 'parent', 'meta', 'driverAdapterError', 'cause'].map((name) => known[name]);
  return inner
    .filter((one) => one && one !== error)
    .map(codeOf)
    .find((code) => code !== undefined);
}

/** `expect.poll`, which does not know its test where several run at a time. */
export async function eventually(holds: () => unknown, timeout = 8_000): Promise<void> {
  await vi.waitFor(holds, { timeout, interval: 20 });
}

interface Soaked {
  app: TestingModule;
  /** Of the credentials. */
  role: string;
  work: Work;
  /** Who is logged in, asked by way of the library. */
  whoami: () => Promise<string | undefined>;
}

/**
 * 12 s of queries and transactions over leases of 3 s and at most 6 s: nothing fails, a rotation leaves no connection
 * of the user before, and after the application nothing is left.
 */
export async function soak(world: LeasedPostgres, { app, role, work, whoami }: Soaked): Promise<void> {
  const mixed: string[][] = [];
  const users = async () => [...new Set(await world.connections(role))];
  const checks = app
    .get(CredentialsService)
    .events$.pipe(
      filter(({ type }) => type === 'rotated'),
      // Longer than the longest transaction, and shorter than until the next rotation.
      delay(1_800),
    )
    .subscribe(() => void users().then((names) => mixed.push(names)));
  const { stop } = load(work, (text) => world.apps.note(text));
  await sleep(12_000);
  checks.unsubscribe();
  const { failures, ...done } = await stop();
  const now = await whoami();
  await eventually(async () => expect(await users()).toEqual([now]));
  const count = rotations(app);
  show(role, { rotations: count, ...done, failures: failures.length, checked: mixed.length });
  await app.close();
  expect(failures).toEqual([]);
  expect(count).toBeGreaterThanOrEqual(2);
  expect(mixed.filter(({ length }) => length !== 1)).toEqual([]);
  await world.expectGone(role);
}

/** An operator revokes the lease of an application at work: what runs as that user fails, until there is the next. */
export async function revoked(
  world: LeasedPostgres,
  { app, role, work, whoami }: Soaked,
  expected: (string | undefined)[] = ['42501'],
): Promise<void> {
  const { stop } = load(work, (text) => world.apps.note(text));
  await sleep(1_000);
  const before = await whoami();
  await world.revoke(role);
  const at = performance.now();
  await eventually(() => expect(rotations(app)).toBe(1));
  const rotated = performance.now() - at;
  await sleep(2_500);
  const { failures, ...done } = await stop();
  const last = Math.max(0, ...failures.map((one) => one.at - at));
  const codes = [...new Set(failures.map(({ code }) => code))];
  show(role, { ...done, failures: failures.length, codes, rotated, last });
  expect(codes.filter((code) => !expected.includes(code))).toEqual([]);
  // A transaction that was open then fails when it goes on.
  expect(last).toBeLessThan(rotated + 2_000);
  expect(await whoami()).not.toBe(before);
  await app.close();
  await world.expectGone(role);
}

/** A static role: one user whose password the server changes every 5 s; new connections must keep up. */
export async function staticRole(
  world: LeasedPostgres,
  { app, work, whoami }: Omit<Soaked, 'role'>,
): Promise<void> {
  const { stop } = load(work, (text) => world.apps.note(text));
  await eventually(() => expect(rotations(app)).toBeGreaterThanOrEqual(2), 20_000);
  const { failures, ...done } = await stop();
  show('static', { rotations: rotations(app), ...done, failures: failures.length });
  expect(await whoami()).toBe('rotated');
  expect(failures).toEqual([]);
  await app.close();
}

/** The figures of a test, for people: SHOW=1. */
function show(name: string, figures: object): void {
  if (process.env['SHOW']) process.stderr.write(`${name}: ${JSON.stringify(figures)}\n`);
}
