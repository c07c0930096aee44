// The unchanged block of the page on Drizzle for a command line tool that accepts no promise. Drizzle Kit is not
// installed, so a script that logs in with its variables replaces it here.
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, LeasedPostgres, OWNER_CREATION } from '../support/leased-postgres.js';
import { blocksOf } from '../support/pages.mjs';
import { describeReal } from '../support/real-servers.js';
import { usersInDatabase } from '../support/servers.mjs';
import { shell, terminal } from '../support/set-up-page.mjs';

const blocks = blocksOf('docs/databases/drizzle.md').map(({ text }) => text);
const block = (words: string) => blocks.find((text) => text.includes(words)) ?? '';
const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));

describeReal('the page on Drizzle', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-drizzle-'));
  let world: LeasedPostgres;

  beforeAll(async () => {
    world = await LeasedPostgres.start([{ name: 'orders-migrations', creation: OWNER_CREATION, long: true }]);
    symlinkSync(MODULES, join(folder, 'node_modules'));
  });
  afterAll(async () => {
    await world?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('migrates as a leased user, which is removed when the command ends, also after a failure', async () => {
    writeFileSync(
      join(folder, 'npx'),
      `#!${process.execPath}
       const { Client } = require('pg');
       const client = new Client();
       client.connect()
         .then(() => client.query('create table made (id bigint)'))
         .then(() => client.query('select session_user as login, current_user as acting'))
         .then(({ rows }) => console.log(JSON.stringify({ ...rows[0], asked: process.argv.slice(2) })))
         .then(() => process.exit(1));`,
    );
    chmodSync(join(folder, 'npx'), 0o755);
    const { host, port, database } = world.where;
    const { bao } = world;
    const role = 'auth/approle/role/app';
    const { body: is } = await bao.api('GET', `${role}/role-id`);
    const { body: created } = await bao.api('POST', `${role}/secret-id`);
    const env = {
      ...(await terminal(bao, folder)),
      // The block logs in itself.
      VAULT_TOKEN: '',
      VAULT_ROLE_ID: is.data.role_id,
      VAULT_SECRET_ID: created.data.secret_id,
      PGHOST: host,
      PGPORT: String(port),
      PGDATABASE: database,
    };
    const failed = shell({ text: block('drizzle-kit push') }, folder, env);
    const { stdout } = (await failed.catch((error: unknown) => error)) as { stdout: string };
    expect(JSON.parse(stdout.split('\n')[0] as string)).toEqual({
      login: expect.stringMatching(/^v-/) as string,
      acting: 'orders_owner',
      asked: ['drizzle-kit', 'push'],
    });
    await eventually(async () => expect(await usersInDatabase(world.postgres)).toEqual([]));
  });
});
