// PgBouncer as installed on this machine, in front of a PostgreSQL of servers.mjs, in a folder of its own and
// under a keeper. It finds users by `auth_query`, as dynamic users require.
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import {
  cleanEnv,
  HOST,
  Keeper,
  makeHome,
  makeTempDir,
  running,
  tempBaseFor,
  unprivilegedUser,
  untilReady,
  withPort,
} from './servers.mjs';

const PLACES = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

const binary = () => {
  const { PGBOUNCER_BIN_DIR: own, PATH = '' } = process.env;
  const folders = own ? [own] : [...PATH.split(delimiter), ...PLACES];
  return folders.map((folder) => join(folder, 'pgbouncer')).find((path) => existsSync(path));
};

/** Whether PgBouncer can be started here: in PGBOUNCER_BIN_DIR, on the PATH, or where packages put it. */
export function pgBouncerAvailable() {
  if (binary()) return { ok: true };
  return {
    ok: false,
    reason: 'no pgbouncer here: install it (Debian: apt install pgbouncer), or set PGBOUNCER_BIN_DIR.',
  };
}

const GUIDE = new URL('../../docs/databases/pg.md', import.meta.url);

/**
 * The guide's set-up of PostgreSQL, with other names.
 *
 * @param group the role that all leased users are members of
 * @param unknownUsers whether an unknown user gets a secret; otherwise there is no row, as in PgBouncer's example
 */
function lookUp({ name, password, group, unknownUsers }) {
  const [, sql] = /```sql\n(CREATE ROLE pgbouncer [^`]*)```/.exec(readFileSync(GUIDE, 'utf8'));
  return (unknownUsers ? sql : sql.replace(/UNION ALL[^;]*(?=\$\$;)/, ''))
    .replaceAll('pgbouncer', name)
    .replace('…', password)
    .replace('orders_app', group);
}

export async function startPgBouncer(postgres, options) {
  const { port, group, settings = {}, unknownUsers = true } = options;
  // One user and schema for each PgBouncer in front of a PostgreSQL.
  const name = `pgbouncer_${randomBytes(4).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  await postgres.query(lookUp({ name, password, group, unknownUsers }));
  return withPort(port, (chosen) => launch({ postgres, name, password, port: chosen, settings }));
}

async function launch({ postgres, name, password, port, settings }) {
  const user = unprivilegedUser();
  const home = makeTempDir('pgbouncer', tempBaseFor(user));
  const keeper = new Keeper(home);
  const write = (file, text) => {
    writeFileSync(join(home, file), text, { mode: 0o600 });
    if (user) chownSync(join(home, file), user.uid, user.gid);
    return join(home, file);
  };
  try {
    makeHome(home);
    if (user) chownSync(home, user.uid, user.gid);
    const target = `host=${postgres.host} port=${postgres.port} dbname=${postgres.database}`;
    const databases = {
      transaction: `${target} pool_mode=transaction`,
      session: `${target} pool_mode=session`,
    };
    const general = {
      listen_addr: HOST,
      listen_port: port,
      unix_socket_dir: '',
      auth_type: 'scram-sha-256',
      auth_file: write('userlist.txt', `"${name}" "${password}"\n`),
      auth_user: name,
      auth_query: `SELECT name, secret FROM ${name}.user_lookup($1)`,
      admin_users: name,
      ...settings,
    };
    const section = (title, entries) =>
      [`[${title}]`, ...Object.entries(entries).map(([key, value]) => `${key} = ${value}`), ''].join('\n');
    const config = write('pgbouncer.ini', section('databases', databases) + section('pgbouncer', general));

    const console = async (command) => {
      const { default: pg } = await import('pg');
      const client = new pg.Client({ host: HOST, port, user: name, password, database: 'pgbouncer' });
      client.on('error', () => {});
      try {
        await client.connect();
        return (await client.query(command)).rows;
      } finally {
        await client.end().catch(() => {});
      }
    };
    const start = async () => {
      const options = { cwd: home, ...user, env: cleanEnv(/^PG/, { HOME: home, LC_ALL: 'C' }) };
      await keeper.run({ command: binary(), args: [config], options, stopSignal: 'SIGINT' });
      await untilReady('pgbouncer', keeper, () => console('SHOW VERSION'));
    };
    await start();
    return running(keeper, start, { port, name, password, console });
  } catch (error) {
    await keeper.end();
    throw error;
  }
}
