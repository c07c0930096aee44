// MariaDB as installed on this machine, in a folder of its own and under a keeper, as in servers.mjs.
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { delimiter, join } from 'node:path';
import {
  cleanEnv,
  expectOk,
  HOST,
  Keeper,
  makeHome,
  makeTempDir,
  mount,
  provision,
  running,
  tempBaseFor,
  unprivilegedUser,
  untilReady,
  withPort,
} from './servers.mjs';

const PLACES = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

/** Whether MariaDB can be started here: `mariadbd` in MARIADB_BIN_DIR, on the PATH, or where packages put it. */
export function mariaDbAvailable() {
  const wanted = ['mariadbd', 'mariadb-install-db'];
  const missing = wanted.filter((name) => !binary(name));
  if (missing.length === 0) return { ok: true };
  return {
    ok: false,
    reason: `no ${missing.join(', ')} here: install it (Debian: apt install mariadb-server), or set MARIADB_BIN_DIR.`,
  };
}

function binary(name) {
  const { MARIADB_BIN_DIR: own, PATH = '' } = process.env;
  const folders = own ? [own] : [...PATH.split(delimiter), ...PLACES];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

export async function startMariaDb({ port, dir, tls } = {}) {
  return withPort(port, (chosen) => launch({ port: chosen, dir, tls }));
}

async function launch({ port, dir, tls }) {
  const user = unprivilegedUser();
  const home = dir ? join(dir, 'mariadb') : makeTempDir('mariadb', tempBaseFor(user));
  const keeper = new Keeper(dir ? undefined : home);
  try {
    makeHome(home);
    const write = (name, text) => {
      writeFileSync(join(home, name), text, { mode: 0o600 });
      if (user) chownSync(join(home, name), user.uid, user.gid);
      return join(home, name);
    };
    // A folder of its own for temporary tables: a starting server removes those of other servers from a shared folder.
    const temporary = join(home, 'tmp');
    mkdirSync(temporary, { recursive: true });
    if (user) for (const path of [home, temporary]) chownSync(path, user.uid, user.gid);
    const data = join(home, 'data');
    const fresh = !existsSync(join(data, 'mysql'));
    const password = fresh
      ? randomBytes(12).toString('hex')
      : readFileSync(join(home, 'init.sql'), 'utf8').match(/'([0-9a-f]+)'/)[1];
    const superuser = 'root';
    const database = 'orders';

    // Run before the first connection is accepted, so that there is no moment without a password.
    const init = write(
      'init.sql',
      ['localhost', '127.0.0.1', '::1', hostname()]
        .map((host) => `ALTER USER IF EXISTS ${superuser}@'${host}' IDENTIFIED BY '${password}';\n`)
        .join('') + `CREATE DATABASE IF NOT EXISTS ${database};\n`,
    );
    // Copies, as the server may run as another user.
    const own = tls && {
      certFile: write('cert.pem', readFileSync(tls.certFile, 'utf8')),
      keyFile: write('key.pem', readFileSync(tls.keyFile, 'utf8')),
    };
    const config = write('my.cnf', configOf({ home, port, tls: own }));
    const base = {
      options: { cwd: home, ...user, env: cleanEnv(/^(MYSQL|MARIADB)/, { HOME: home, LC_ALL: 'C' }) },
      stopSignal: 'SIGTERM',
    };

    if (fresh) {
      const flags = ['--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve'];
      const args = [`--defaults-file=${config}`, `--datadir=${data}`, ...flags];
      await keeper.run({ ...base, command: binary('mariadb-install-db'), args });
      const { code } = await keeper.exit();
      if (code !== 0) throw new Error(`mariadb-install-db failed (${code})\n${keeper.output}`);
    }

    const query = async (sql, params) => {
      const { default: mysql } = await import('mysql2/promise');
      const connection = await mysql.createConnection({
        host: HOST,
        port,
        user: superuser,
        password,
        database,
        connectTimeout: 5_000,
        multipleStatements: true,
      });
      // The server may end during a query; the query rejects, and this listener keeps the event from being thrown.
      connection.on('error', () => {});
      try {
        return (await connection.query(sql, params))[0];
      } finally {
        await connection.end().catch(() => {});
      }
    };
    const start = async () => {
      const args = [`--defaults-file=${config}`, `--init-file=${init}`, `--datadir=${data}`];
      await keeper.run({ ...base, command: binary('mariadbd'), args });
      await untilReady('mariadb', keeper, () => query('SELECT 1'));
    };
    await start();

    return running(keeper, start, {
      port,
      database,
      superuser,
      password,
      query,
      async restart({ graceful = false } = {}) {
        await keeper.kill(graceful ? 'SIGTERM' : 'SIGKILL');
        await start();
      },
    });
  } catch (error) {
    await keeper.end();
    throw error;
  }
}

/** The smallest data folder that starts: half a second to make, a tenth of a second to start. */
function configOf({ home, port, tls }) {
  const settings = {
    port,
    bind_address: HOST,
    socket: join(home, 's'),
    pid_file: join(home, 'pid'),
    tmpdir: join(home, 'tmp'),
    skip_name_resolve: 1,
    performance_schema: 0,
    max_connections: 300,
    key_buffer_size: '1M',
    aria_pagecache_buffer_size: '1M',
    innodb_buffer_pool_size: '8M',
    innodb_log_file_size: '4M',
    innodb_data_file_path: 'ibdata1:4M:autoextend',
    innodb_autoextend_increment: 1,
    innodb_use_native_aio: 0,
    // Safe against a killed server, not against a killed machine.
    innodb_flush_log_at_trx_commit: 0,
    innodb_doublewrite: 0,
    ...(tls && { ssl_cert: tls.certFile, ssl_key: tls.keyFile }),
  };
  return ['[mariadbd]', ...Object.entries(settings).map(([name, value]) => `${name}=${value}`), ''].join(
    '\n',
  );
}

// ---------------------------------------------------------------- set-up of OpenBao

const CREATION = [
  `CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON orders.* TO '{{name}}'@'%'`,
];

export async function provisionMariaDb(bao, mariadb, options = {}) {
  const {
    roles = [{ name: 'orders', defaultTtl: '3s', maxTtl: '6s' }],
    staticRoles = [],
    admin = { username: mariadb.superuser, password: mariadb.password },
    ...rest
  } = options;
  const call = async (method, path, body) => expectOk(await bao.api(method, path, body));
  await mount(call, 'sys/mounts/database', { type: 'database' });
  await call('POST', 'database/config/mariadb', {
    plugin_name: 'mysql-database-plugin',
    connection_url: `{{username}}:{{password}}@tcp(${rest.databaseAddress ?? `${HOST}:${mariadb.port}`})/`,
    ...admin,
    allowed_roles: ['*'],
  });
  for (const role of roles) {
    await call('POST', `database/roles/${role.name}`, {
      db_name: 'mariadb',
      default_ttl: role.defaultTtl,
      max_ttl: role.maxTtl,
      creation_statements: role.creationStatements ?? CREATION,
      revocation_statements: role.revocationStatements ?? [],
    });
  }
  for (const { name, username, rotationPeriod } of staticRoles) {
    await call('POST', `database/static-roles/${name}`, {
      db_name: 'mariadb',
      username,
      rotation_period: rotationPeriod,
    });
  }
  return provision(bao, undefined, rest);
}

/** The users that the database secrets engine has in the database at this moment. */
export async function usersInMariaDb(mariadb) {
  const rows = await mariadb.query(`SELECT user AS name FROM mysql.user WHERE user LIKE 'v-%' ORDER BY user`);
  return rows.map(({ name }) => name);
}

/** The leased users of the connections that are open at this moment. */
export async function connectionsInMariaDb(mariadb) {
  const rows = await mariadb.query(
    `SELECT user AS name FROM information_schema.processlist WHERE user LIKE 'v-%' ORDER BY user`,
  );
  return rows.map(({ name }) => name);
}
