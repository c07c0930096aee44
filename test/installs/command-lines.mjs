// The tarball in a folder without Nest: it installs nothing of Nest, its declarations compile, a script works in both
// formats, and the command lines of the pages migrate on a real OpenBao and PostgreSQL, also by `nestjs-vault exec`, and
// leave no user.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { blocksOf } from '../support/pages.mjs';
import { provision, startOpenBao, startPostgres, usersInDatabase } from '../support/servers.mjs';
import { run } from './managers.mjs';
import { compile, project, put, transpiled } from './project.mjs';

/** Command lines that the repository itself does not install. */
const TOOLS = { 'sequelize-cli': '6.6.5', '@mikro-orm/cli': '6.6.16', '@mikro-orm/migrations': '6.6.16' };
/** Those that it does. */
const LIBRARIES = [
  'pg',
  'typeorm',
  'knex',
  'prisma',
  'sequelize',
  'drizzle-orm',
  '@mikro-orm/core',
  '@mikro-orm/postgresql',
  'typescript',
  '@types/node',
  '@types/pg',
];

/** The script of a reader; also compiled. */
const SCRIPT = `
import { appRole, connectVault, fromEnv, token, withVault, type Vault } from 'nestjs-vault/core';
import { createRotatingPgPool } from 'nestjs-vault/pg';
import { SimulatedVault } from 'nestjs-vault/testing';

const options = {
  address: process.env.VAULT_ADDR!,
  auth: appRole({ roleId: process.env.VAULT_ROLE_ID!, secretId: fromEnv('VAULT_SECRET_ID') }),
  logger: console,
};
const where = {
  host: process.env.PGHOST!,
  port: Number(process.env.PGPORT),
  database: process.env.PGDATABASE!,
};

async function work(vault: Vault): Promise<void> {
  const { data } = await vault.kv.read<{ place: string }>('app');
  const pool = await createRotatingPgPool(vault.credentials.database('orders-migrations'), where);
  const { rows } = await pool.query<{ login: string }>('select session_user as login');
  const { username } = await vault.credentials.getDatabase('orders-migrations');
  if (data.reveal().place !== 'here' || rows[0]?.login !== username.reveal()) throw new Error('It is wrong.');
}

async function simulated(): Promise<void> {
  const server = new SimulatedVault();
  server.kv().put('app', { place: 'here' });
  const vault = await connectVault({ address: await server.listen(), auth: token('root') });
  await vault.kv.read('app');
  await vault.close();
  await server.close();
}

async function main(): Promise<void> {
  await withVault(options, work);
  await simulated();
}

void main();
`;

/**
 * In the place of Prisma's engine, which Prisma would download: runs the migrations that it is asked for as the user of
 * the URL.
 */
const ENGINE = `#!/usr/bin/env node
const { Client } = require('pg');
const { createInterface } = require('node:readline');
const args = process.argv.slice(2);
const { url } = JSON.parse(args[args.indexOf('--datasource') + 1]);

async function main() {
  const client = new Client({ connectionString: url });
  await client.connect();
  // Prisma first asks whether it can connect.
  if (args.includes('cli')) process.exit(0);
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, method, params } = JSON.parse(line);
    const migrations = method === 'applyMigrations' ? params.migrationsList.migrationDirectories : [];
    for (const { migrationFile } of migrations) await client.query(migrationFile.content.value);
    const result = { appliedMigrationNames: migrations.map(({ path }) => path) };
    console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
  }
}
void main();
`;

/** For each page: the files that its command reads, the command, and a table that it makes. */
const COMMANDS = {
  typeorm: {
    files: {
      'dist/migrations/1700000000001-typeorm.js': `exports.Typeorm1700000000001 = class Typeorm1700000000001 {
        up(runner) { return runner.query('create table from_typeorm (id serial primary key)'); }
      };`,
    },
    command: ['typeorm/cli.js', 'migration:run', '-d', 'dist/data-source.js'],
  },
  knex: {
    files: {
      'migrations/1-knex.js': `exports.up = (knex) => knex.raw('create table from_knex (id serial primary key)');
        exports.down = (knex) => knex.raw('drop table from_knex');`,
    },
    command: ['knex/bin/cli.js', 'migrate:latest'],
  },
  'mikro-orm': {
    files: {
      'dist/migrations/Migration1.js': `const { Migration } = require('@mikro-orm/migrations');
        exports.Migration1 = class Migration1 extends Migration {
          up() { this.addSql('create table from_mikro_orm (id serial primary key)'); }
        };`,
      // MikroORM wants to find an entity.
      'dist/note.entity.js': `const { EntitySchema } = require('@mikro-orm/core');
        exports.Note = new EntitySchema({ name: 'Note', properties: { id: { type: 'number', primary: true } } });`,
    },
    command: ['@mikro-orm/cli/cli', 'migration:up', '--config', 'dist/mikro-orm.config.js'],
  },
  sequelize: {
    files: {
      'migrations/1-sequelize.js': `exports.up = ({ sequelize }) =>
        sequelize.query('create table from_sequelize (id serial primary key)');`,
    },
    command: ['sequelize-cli/lib/sequelize', 'db:migrate'],
  },
  prisma: {
    files: {
      'prisma/migrations/migration_lock.toml': 'provider = "postgresql"\n',
      'prisma/migrations/1_prisma/migration.sql': 'create table from_prisma (id serial primary key);\n',
    },
    command: ['prisma/build/index.js', 'migrate', 'deploy'],
  },
  drizzle: {
    files: {
      'drizzle/0000_drizzle.sql': 'create table from_drizzle (id serial primary key);\n',
      'drizzle/meta/_journal.json': JSON.stringify({
        version: '7',
        dialect: 'postgresql',
        entries: [{ idx: 0, version: '7', when: 1_700_000_000_000, tag: '0000_drizzle', breakpoints: true }],
      }),
    },
    command: ['dist/migrate.mjs'],
  },
};

/** Programs of PostgreSQL, with the variables of `--pg`. */
const PROGRAMS = [
  ['psql', '--set=ON_ERROR_STOP=1', '--command=create table from_psql (id serial primary key)'],
  ['pg_dump', '--schema-only', '--table=from_knex'],
];

/** The set-up of the page on TypeORM, in short. */
const SET_UP = (database) => `
  create role orders_owner nologin;
  grant usage, create on schema public to orders_owner;
  grant create on database "${database}" to orders_owner`;
const ROLE = {
  name: 'orders-migrations',
  defaultTtl: '10m',
  maxTtl: '1h',
  creationStatements: [
    `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE orders_owner`,
    'ALTER ROLE "{{name}}" SET role = orders_owner',
  ],
  revocationStatements: ['DROP ROLE IF EXISTS "{{name}}"'],
};

export async function withoutNest({ check, context }) {
  const { folder, tarball, dev } = context;
  const title = 'without Nest';
  const app = project(join(folder, 'without-nest'), { type: 'commonjs', dependencies: {} });
  const install = (packages) =>
    run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', ...packages], {
      cwd: app,
    });
  const modules = join(app, 'node_modules');
  const alone = await install([tarball]);
  if (!check(`${title}: npm install in an empty folder`, alone.ok, alone.output)) return;
  const nest = ['@nestjs', 'reflect-metadata'].filter((name) => existsSync(join(modules, name)));
  check(`${title}: npm installs nothing of Nest`, nest.length === 0, nest.join(', '));

  const versions = { ...TOOLS, ...Object.fromEntries(LIBRARIES.map((name) => [name, dev[name]])) };
  const more = await install(Object.entries(versions).map(([name, version]) => `${name}@${version}`));
  if (!check(`${title}: npm install of the command lines`, more.ok, more.output)) return;
  writeFileSync(join(app, 'script.mts'), SCRIPT);
  const types = await compile(app, 'script.mts');
  check(`${title}: the types, with all declarations`, types.ok, types.output);

  const [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
  try {
    await postgres.query(SET_UP(postgres.database));
    const { roleId, secretId } = await provision(bao, postgres, { roles: [ROLE] });
    await bao.api('POST', 'secret/data/app', { data: { place: 'here' } });
    const { host, port, database } = postgres;
    const env = {
      VAULT_ADDR: bao.address,
      VAULT_ROLE_ID: roleId,
      VAULT_SECRET_ID: secretId,
      PGHOST: host,
      PGPORT: String(port),
      PGDATABASE: database,
      PRISMA_SCHEMA_ENGINE_BINARY: 'engine.js',
      CHECKPOINT_DISABLE: '1',
    };
    const secret = (output) => output.includes(secretId) || /\bhvs\.\w{20}/.test(output);
    const noneLeft = async (name, { ok, output }) => {
      // The server drops a user a moment after the revocation.
      for (let tries = 0; tries < 100 && (await usersInDatabase(postgres)).length > 0; tries++)
        await sleep(50);
      const left = await usersInDatabase(postgres);
      check(`${title}: ${name}, users left: ${left.length}`, ok && left.length === 0, output);
      check(`${title}: ${name} prints no secret`, !secret(output), 'a secret is printed');
    };
    const ownerOf = async (page) => {
      const { rows } = await postgres.query('select tableowner from pg_tables where tablename = $1', [
        `from_${page.replace('-', '_')}`,
      ]);
      return rows[0]?.tableowner;
    };
    for (const [format, name] of Object.entries({ ESNext: 'script.mjs', CommonJS: 'script.cjs' })) {
      put(app, name, transpiled(SCRIPT, format));
      await noneLeft(`a script, ${format}`, await run(process.execPath, [name], { cwd: app, env }));
    }
    for (const [page, { files, command }] of Object.entries(COMMANDS)) {
      const cwd = join(app, page);
      for (const [name, text] of Object.entries({ ...files, ...blocksInFiles(page) })) put(cwd, name, text);
      const [file, ...args] = command;
      const script = file.startsWith('dist/') ? file : join(modules, file);
      const done = await run(process.execPath, [script, ...args], { cwd, env });
      const owner = await ownerOf(page);
      const ok = done.ok && owner === 'orders_owner';
      await noneLeft(`${page}, owner of its table: ${owner}`, { ok, output: done.output });
    }
    // The same by `nestjs-vault exec`, in an empty schema.
    await postgres.query('drop schema public cascade; create schema public');
    await postgres.query('grant usage, create on schema public to orders_owner');
    const bin = join(modules, '.bin', 'nestjs-vault');
    const exec = ['exec', '--database', 'orders-migrations'];
    for (const page of ['typeorm', 'knex', 'mikro-orm', 'prisma']) {
      const cwd = join(app, `${page}-exec`);
      const { files, command } = COMMANDS[page];
      for (const [name, text] of Object.entries({ ...files, ...blocksInFiles(page, 'DB_USERNAME') }))
        put(cwd, name, text);
      const [file, ...args] = command;
      const done = await run(bin, [...exec, '--', process.execPath, join(modules, file), ...args], {
        cwd,
        env,
      });
      const owner = await ownerOf(page);
      const ok = done.ok && owner === 'orders_owner';
      await noneLeft(`exec, ${page}, owner of its table: ${owner}`, { ok, output: done.output });
    }
    for (const [program, ...args] of PROGRAMS) {
      if (!(await run(program, ['--version'])).ok) {
        console.log(`${title}: ${program} is not installed`);
        continue;
      }
      const done = await run(bin, [...exec, '--pg', '--', program, ...args], { cwd: app, env });
      // An older pg_dump connects, and then refuses a newer server.
      const ok = done.ok || done.output.includes('server version mismatch');
      await noneLeft(`exec, ${program}`, { ok, output: done.output });
    }
    const cwd = join(app, 'knex');
    put(
      cwd,
      'migrations/2-knex.js',
      `exports.up = () => Promise.reject(new Error('it fails'));\nexports.down = () => {};`,
    );
    const failed = await run(process.execPath, [join(modules, COMMANDS.knex.command[0]), 'migrate:latest'], {
      cwd,
      env,
    });
    await noneLeft('a migration that fails', {
      ok: !failed.ok && /it fails/.test(failed.output),
      output: failed.output,
    });
    // No variable of the server is set.
    const client = await run(process.execPath, [join(modules, COMMANDS.prisma.command[0]), 'generate'], {
      cwd: join(app, 'prisma'),
      env: { PRISMA_SCHEMA_ENGINE_BINARY: 'engine.js' },
    });
    check(
      `${title}: prisma generate without a server`,
      client.ok && existsSync(join(app, 'prisma/src/generated/prisma/client.ts')),
      client.output,
    );
  } finally {
    await Promise.all([bao.stop(), postgres.stop()]);
  }
}

/**
 * The blocks of a page for the command line, where its command reads them.
 *
 * @param about a text that is in the block of the configuration
 */
function blocksInFiles(page, about = 'nestjs-vault/core') {
  const blocks = blocksOf(`docs/databases/${page}.md`);
  if (page === 'prisma') {
    const [schema] = blocks.filter(({ language }) => language === 'prisma');
    const [config] = blocks.filter(({ file, text }) => file === 'prisma.config.ts' && text.includes(about));
    return { 'prisma/schema.prisma': schema.text, 'prisma.config.ts': config.text, 'engine.js': ENGINE };
  }
  const { file, language, text } = blocks.find((block) => block.text.includes(about));
  if (language === 'js') return { [file]: text };
  const esm = page === 'drizzle';
  const name = file.replace(/^(?:src\/)?(?!knexfile)/, 'dist/').replace(/\.ts$/, esm ? '.mjs' : '.js');
  return { [name]: transpiled(text, esm ? 'ESNext' : 'CommonJS') };
}
