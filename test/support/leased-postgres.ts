import { Module, type DynamicModule, type ModuleMetadata } from '@nestjs/common';
import type { TestingModule } from '@nestjs/testing';
import { tap, type Observable } from 'rxjs';
import { appRole, VaultModule, type Secret } from 'nestjs-vault';
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

// Some of these tests take 20 s by themselves, and longer when many suites run at a time.
vi.setConfig({ testTimeout: 60_000 });

/** The group roles of the leased users: so users own nothing, and need no GRANT on tables of their own. */
const SET_UP = `
  create role orders_app nologin;
  create role orders_owner nologin;
  create table orders (id bigint generated always as identity primary key, item text not null);
  alter table orders owner to orders_owner;
  grant select, insert, update, delete on orders to orders_app;
  grant usage, create on schema public to orders_owner;
  create role rotated with login password 'before-the-server-knows-it' in role orders_app`;

/** The statements as the guides have them. */
const CREATION = `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE orders_app`;
const REVOCATION = 'DROP ROLE IF EXISTS "{{name}}"';
/** Ends open sessions, too, so that access ends with the lease. */
export const ENDING_REVOCATION = [
  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}'",
  REVOCATION,
];
/** For users that change the schema: the objects that they make belong to orders_owner. */
export const OWNER_CREATION = [
  CREATION.replace('orders_app', 'orders_owner'),
  'ALTER ROLE "{{name}}" SET role = orders_owner',
];

export interface LeasedRole {
  /** At most 8 characters: OpenBao cuts longer names off in the names of users. */
  name: string;
  creation?: string[];
  revocation?: string[];
  /** Default: users of 4 s and at most 8 s. */
  long?: boolean;
}

/** An OpenBao whose database roles make users in a PostgreSQL, and the applications of one test file. */
export class LeasedPostgres {
  readonly apps = new Applications();
  readonly bao: OpenBaoServer;
  readonly postgres: PostgresServer;
  readonly #approle: Provisioned;
  readonly #users: string[] = [];
  readonly #byRole = new Map<string, TestingModule>();

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
        defaultTtl: long ? '60s' : '4s',
        maxTtl: long ? '60s' : '8s',
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

  /**
   * An application with a VaultModule and these providers and imports.
   *
   * @param only the role whose connections the test counts: connections left by an earlier try of the test are closed
   * first
   */
  async app(metadata: ModuleMetadata, only?: string): Promise<TestingModule> {
    @Module({ ...metadata, imports: [this.vault, ...(metadata.imports ?? [])] })
    class AppModule {}
    if (only === undefined) return this.apps.start({ imports: [AppModule] });
    await this.#byRole.get(only)?.close();
    const app = await this.apps.start({ imports: [AppModule] });
    this.#byRole.set(only, app);
    return app;
  }

  /** Adds the passwords of these credentials to the texts that no log line may contain, and records the users. */
  guarded<T extends LoginCredentials>(credentials$: Observable<T>): Observable<T> {
    return credentials$.pipe(
      tap((one) => {
        const { username, password } = loginOf(one);
        this.apps.guard(password);
        if (!this.#users.includes(username)) this.#users.push(username);
      }),
    );
  }

  /** All users issued for a role, in order. */
  usersOf(role: string): string[] {
    return this.#users.filter((user) => user.startsWith(prefix(role)));
  }

  /** Users of the open connections, one entry for each connection. */
  async connections(role: string): Promise<string[]> {
    const { rows } = await this.postgres.query<{ usename: string }>(
      'select usename from pg_stat_activity where usename like $1 order by usename',
      [`${prefix(role)}%`],
    );
    return rows.map(({ usename }) => usename);
  }

  /** Waits until no user and no connection of a role is left, after its application has closed. */
  async expectGone(role: string): Promise<void> {
    await eventually(async () => {
      const users = (await usersInDatabase(this.postgres)).filter((user) => user.startsWith(prefix(role)));
      expect({ users, connections: await this.connections(role) }).toEqual({ users: [], connections: [] });
    });
  }

  /** Revokes all leases of the role, as an operator does after a suspected leak. */
  async revoke(role: string): Promise<void> {
    const { status } = await this.bao.api('PUT', `sys/leases/revoke-prefix/database/creds/${role}`);
    expect(status).toBe(204);
  }
}

interface Login {
  username: string;
  password: string;
}

function loginOf(one: LoginCredentials): Login {
  if ('data' in one) return (one.data as Secret<Login>).reveal();
  return { username: one.username.reveal(), password: one.password.reveal() };
}

const prefix = (role: string) => `v-approle-${role}-`;

/** Replaces `expect.poll`, which does not know its test when several run at a time. */
export async function eventually(holds: () => unknown, timeout = 15_000): Promise<void> {
  await vi.waitFor(holds, { timeout, interval: 20 });
}
