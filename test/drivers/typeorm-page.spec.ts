// The unchanged blocks of the page on TypeORM, on a real OpenBao and PostgreSQL. test/installs/command-lines.mjs runs its
// command line.
import { runInNewContext } from 'node:vm';
import { Module } from '@nestjs/common';
import { TypeOrmModule, type TypeOrmModuleOptions } from '@nestjs/typeorm';
import {
  appRole,
  getCredentialsToken,
  VaultError,
  VaultModule,
  type DatabaseCredentials,
} from 'nestjs-vault';
import { rotatingTypeOrmDriver } from 'nestjs-vault/typeorm';
import { Client } from 'pg';
import type { Observable } from 'rxjs';
import { DataSource, type MigrationInterface, type QueryRunner } from 'typeorm';
import { ScriptTarget, transpileModule } from 'typescript';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Applications } from '../support/applications.js';
import { eventually } from '../support/leased-postgres.js';
import { describeReal } from '../support/real-servers.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  usersInDatabase,
  type OpenBaoServer,
  type PostgresServer,
  type Provisioned,
} from '../support/servers.mjs';
import { blocksOf } from '../support/pages.mjs';

const blocks = blocksOf('docs/databases/typeorm.md').map(({ text }) => text);
/** The only block that contains a text. */
function block(words: string): string {
  const found = blocks.filter((text) => text.includes(words));
  expect(found, words).toHaveLength(1);
  return found[0] as string;
}

const PASSWORD = 'password-of-vault-admin';
const SHOP = 'password-of-the-old-user';

/** The options that a block of the page exports. */
function optionsOf(text: string): TypeOrmModuleOptions {
  const source = text.replaceAll(/^import .*$/gm, '').replace(/export const \w+ =/, 'var options =');
  const names: { VaultError: typeof VaultError; options?: TypeOrmModuleOptions } = { VaultError };
  runInNewContext(
    transpileModule(source, { compilerOptions: { target: ScriptTarget.ES2022 } }).outputText,
    names,
  );
  return names.options as TypeOrmModuleOptions;
}

/** Evaluates an expression of the page, with these names. */
const evaluated = (text: string, names: object): unknown => runInNewContext(`(${text.trim()})`, { ...names });

/** Runs a block as `psql` does, statement by statement in one session; the whole block again after a lock time-out. */
async function asPsql({ connectionString }: PostgresServer, text: string): Promise<void> {
  const statements = text.match(/(?:\$\$[^]*?\$\$|[^;])+;.*/g) ?? [];
  const client = new Client({ connectionString });
  await client.connect();
  try {
    for (let lockTimeouts = 0; ; lockTimeouts++) {
      try {
        for (const statement of statements) await client.query(statement);
        return;
      } catch (error) {
        if (lockTimeouts > 10 || (error as { code?: string }).code !== '55P03') throw error;
      }
    }
  } finally {
    await client.end();
  }
}

class CreateShipments1700000000001 implements MigrationInterface {
  up = (runner: QueryRunner) => runner.query('create table shipments (id serial primary key, item text)');
  down = (runner: QueryRunner) => runner.query('drop table shipments');
}
class Failing1700000000002 implements MigrationInterface {
  up = (runner: QueryRunner) => runner.query('alter table nowhere add column item text');
  down = () => Promise.resolve();
}
class Denied1700000000004 implements MigrationInterface {
  up = (runner: QueryRunner) => runner.query('create table denied (id bigint)');
  down = () => Promise.resolve();
}

describeReal('the page on TypeORM', () => {
  const apps = new Applications();
  let bao: OpenBaoServer;
  let postgres: PostgresServer;
  let role: Provisioned;

  beforeAll(async () => {
    [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
    apps.guard(PASSWORD, SHOP, bao.rootToken);
    // A table that the application made earlier, as its user `shop`.
    await postgres.query(`
      create role vault_admin login createrole password '${PASSWORD}';
      create role shop login password '${SHOP}';
      grant create on schema public to shop;
      create table orders (id serial primary key, item text not null);
      alter table orders owner to shop;
      create table customers (id int primary key, name text);
      insert into customers values (1, 'Ann');
      alter table customers owner to shop`);
    await postgres.query(block('ALTER DEFAULT PRIVILEGES'));
    const { host, port, database } = postgres;
    const engine = { host, port, database, superuser: 'vault_admin', password: PASSWORD };
    const lives = { defaultTtl: '1h', maxTtl: '2h', revocationStatements: [block('revocation_statements')] };
    role = await provision(bao, engine as PostgresServer, {
      roles: [
        { ...lives, name: 'orders', creationStatements: [block('of the role orders\n')] },
        {
          ...lives,
          name: 'orders-migrations',
          creationStatements: [block('of the role orders-migrations\n')],
        },
      ],
      policy: 'path "database/creds/*" { capabilities = ["read"] }',
    });
  });
  afterAll(() => Promise.all([bao?.stop(), postgres?.stop()]));
  afterEach(() => apps.finish());

  const where = () => {
    const { host, port, database } = postgres;
    return { host, port, database };
  };
  const application = (name: string, options: Partial<TypeOrmModuleOptions> & object = {}) => {
    const { roleId, secretId } = role;
    @Module({
      imports: [
        VaultModule.forRoot({ address: bao.address, auth: appRole({ roleId, secretId }) }),
        TypeOrmModule.forRootAsync({
          inject: [getCredentialsToken(name)],
          useFactory: (credentials$: Observable<DatabaseCredentials>) => ({
            type: 'postgres',
            driver: rotatingTypeOrmDriver(credentials$),
            ...where(),
            ...(options as object),
          }),
        }),
      ],
    })
    class AppModule {}
    return { imports: [AppModule] };
  };
  /** The job of the page, with a module in place of MigrationsModule. */
  const migrate = async (migrations: TypeOrmModuleOptions['migrations']) => {
    const text = block('export async function migrate').replaceAll(/^import .*$/gm, '');
    const NestFactory = {
      createApplicationContext: () => apps.start(application('orders-migrations', { migrations })),
    };
    const names = { NestFactory, DataSource, MigrationsModule: undefined };
    await (evaluated(text.replace('export ', ''), names) as () => Promise<void>)();
  };
  const left = () => eventually(async () => expect(await usersInDatabase(postgres)).toEqual([]));

  it('the next migration makes tables that the application may use, and that no leased user owns', async () => {
    await migrate([CreateShipments1700000000001]);
    await left();
    const { rows } = await postgres.query(
      `select tableowner from pg_tables where tablename in ('shipments', 'migrations')`,
    );
    expect(rows).toEqual([{ tableowner: 'orders_owner' }, { tableowner: 'orders_owner' }]);
    // With nothing to migrate, an application without the right to may run migrations.
    const app = await apps.start(
      application('orders', { migrations: [CreateShipments1700000000001], migrationsRun: true }),
    );
    const dataSource = app.get(DataSource);
    await dataSource.query(`insert into shipments (item) values ('tea')`);
    await dataSource.query(`insert into orders (item) values ('tea')`);
    await expect(dataSource.query('drop table shipments')).rejects.toMatchObject({ code: '42501' });
    await app.close();
    await left();
  });

  it('a migration that fails leaves no user', async () => {
    await expect(migrate([Failing1700000000002])).rejects.toMatchObject({ code: '42P01' });
    await left();
  });

  it('tables change hands while the processes of the old user go on', async () => {
    const old = await new DataSource({
      type: 'postgres',
      ...where(),
      username: 'shop',
      password: SHOP,
      extra: { maxUses: 5 },
    }).initialize();
    let stop = false;
    let done = 0;
    // Each locks both tables, in one order or the other.
    const works = [0, 1, 2, 3, 4, 5].map(async (worker) => {
      const statements = [`insert into orders (item) values ('tea')`, `select name from customers for share`];
      if (worker % 2 === 1) statements.reverse();
      for (; !stop; done++) {
        await old.transaction(async (manager) => {
          await manager.query(statements[0]!);
          await manager.query('select pg_sleep(0.1)');
          await manager.query(statements[1]!);
        });
      }
    });
    const work = Promise.all(works);
    work.catch(() => undefined);
    await eventually(() => expect(done).toBeGreaterThan(10));
    await asPsql(postgres, block('SET lock_timeout'));
    const before = done;
    await eventually(() => expect(done).toBeGreaterThan(before + 50));
    // Statements that only an owner may run.
    await old.query('alter table orders add column note text');
    const app = await apps.start(application('orders-migrations'));
    await app.get(DataSource).query('alter table orders drop column note');
    await app.close();
    stop = true;
    await work;
    await old.destroy();
    await postgres.query(block('DROP ROLE shop'));
    const { rows } = await postgres.query(`select tableowner from pg_tables where tablename = 'orders'`);
    expect(rows).toEqual([{ tableowner: 'orders_owner' }]);
    await left();
  });

  // Last: Nest closes nothing after a failed start, so its user is kept for as long as this process runs.
  it('`migrationsRun` without the right to change the schema ends at once', async () => {
    const { toRetry } = optionsOf(block('toRetry:'));
    const start = performance.now();
    const error = await apps.startError(
      application('orders', { migrations: [Denied1700000000004], migrationsRun: true, toRetry }),
    );
    expect(error).toMatchObject({ code: '42501' });
    // One more attempt would take 3 s.
    expect(performance.now() - start).toBeLessThan(3_000);
  });
});
