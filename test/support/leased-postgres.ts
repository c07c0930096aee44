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

// Some of these take 20 s by themselves, and longer where many suites run at a time.
vi.setConfig({ testTimeout: 60_000 });

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
  /** Default: users of 4 s and at most 8 s. */
  long?: boolean;
}

/** An OpenBao whose database roles make users in a PostgreSQL, and the applications of one test file on them. */
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
   * An application with these providers and imports beside its VaultModule.
   *
   * @param only of a role whose connections are counted: one that an earlier try of the test has left is closed first
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

  /** Has the passwords of these looked for in all that is logged, and remembers the users. */
  guarded<T extends LoginCredentials>(credentials$: Observable<T>): Observable<T> {
    return credentials$.pipe(
      tap((one) => {
        const { username, password } = loginOf(one);
        this.apps.guard(password);
        if (!this.#users.includes(username)) this.#users.push(username);
      }),
    );
  }

  /** All users that came for a role, in order. */
  usersOf(role: string): string[] {
    return this.#users.filter((user) => user.startsWith(prefix(role)));
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

interface Login {
  username: string;
  password: string;
}

function loginOf(one: LoginCredentials): Login {
  if ('data' in one) return (one.data as Secret<Login>).reveal();
  return { username: one.username.reveal(), password: one.password.reveal() };
}

const prefix = (role: string) => `v-approle-${role}-`;

/** `expect.poll`, which does not know its test where several run at a time. */
export async function eventually(holds: () => unknown, timeout = 15_000): Promise<void> {
  await vi.waitFor(holds, { timeout, interval: 20 });
}
