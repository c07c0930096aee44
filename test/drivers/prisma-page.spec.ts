// The unchanged blocks of the page on Prisma. `prisma migrate` loads its engine from the network, so a script that logs
// in with its DATABASE_URL replaces it here.
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, LeasedPostgres, OWNER_CREATION } from '../support/leased-postgres.js';
import { describeReal } from '../support/real-servers.js';
import { usersInDatabase } from '../support/servers.mjs';
import { blocksOf } from '../support/pages.mjs';
import { shell, terminal } from '../support/set-up-page.mjs';

const run = promisify(execFile);
const blocks = blocksOf('docs/databases/prisma.md').map(({ text }) => text);
const block = (words: string) => blocks.find((text) => text.includes(words)) ?? '';
const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));

describeReal('the page on Prisma', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-prisma-'));
  let world: LeasedPostgres;

  beforeAll(async () => {
    world = await LeasedPostgres.start([{ name: 'orders-migrations', creation: OWNER_CREATION, long: true }]);
    symlinkSync(MODULES, join(folder, 'node_modules'));
    mkdirSync(join(folder, 'prisma'));
    writeFileSync(join(folder, 'prisma/schema.prisma'), block('datasource db'));
    writeFileSync(join(folder, 'prisma.config.ts'), block('defineConfig'));
  });
  afterAll(async () => {
    await world?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('generates a client from its schema and its configuration, without a database', async () => {
    const { DATABASE_URL: _, ...env } = process.env;
    const prisma = join(MODULES, 'prisma/build/index.js');
    await run(process.execPath, [prisma, 'generate'], {
      cwd: folder,
      env: { ...env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, CHECKPOINT_DISABLE: '1' },
    });
    expect(existsSync(join(folder, 'src/generated/prisma/client.ts'))).toBe(true);
  });

  it('migrates as a leased user, which is removed when the command ends, also after a failure', async () => {
    writeFileSync(
      join(folder, 'npx'),
      `#!${process.execPath}
       const { Client } = require('pg');
       const client = new Client({ connectionString: process.env.DATABASE_URL });
       client.connect()
         .then(() => client.query('create table made (id bigint)'))
         .then(() => client.query('select session_user as login, current_user as acting'))
         .then(({ rows }) => console.log(JSON.stringify({ ...rows[0], asked: process.argv.slice(2) })))
         .then(() => process.exit(1));`,
    );
    chmodSync(join(folder, 'npx'), 0o755);
    const { host, port, database } = world.where;
    const env = {
      ...(await terminal(world.bao, folder)),
      PGHOST: host,
      PGPORT: String(port),
      PGDATABASE: database,
    };
    const failed = shell({ text: block('migrate deploy') }, folder, env);
    const { stdout } = (await failed.catch((error: unknown) => error)) as { stdout: string };
    expect(JSON.parse(stdout.split('\n')[0] as string)).toEqual({
      login: expect.stringMatching(/^v-/) as string,
      acting: 'orders_owner',
      asked: ['prisma', 'migrate', 'deploy'],
    });
    await eventually(async () => expect(await usersInDatabase(world.postgres)).toEqual([]));
  });
});
