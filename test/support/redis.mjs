// Redis as installed on this machine, in a folder of its own and under a keeper, as in servers.mjs.
import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import {
  cleanEnv,
  expectOk,
  HOST,
  Keeper,
  makeTempDir,
  mount,
  provision,
  running,
  untilReady,
  withPort,
} from './servers.mjs';

const binary = () => {
  const { REDIS_BIN_DIR: own, PATH = '' } = process.env;
  const folders = own ? [own] : PATH.split(delimiter);
  return folders
    .flatMap((folder) => [join(folder, 'redis-server'), join(folder, 'valkey-server')])
    .find((path) => existsSync(path));
};

/** Whether Redis or Valkey can be started here: in REDIS_BIN_DIR, or on the PATH. */
export function redisAvailable() {
  if (binary()) return { ok: true };
  return {
    ok: false,
    reason: 'no redis-server here: install it (Debian: apt install redis-server), or set REDIS_BIN_DIR.',
  };
}

export async function startRedis({ port } = {}) {
  return withPort(port, launch);
}

async function launch(port) {
  const home = makeTempDir('redis');
  const keeper = new Keeper(home);
  const superuser = 'default';
  const password = randomBytes(12).toString('hex');
  // Nothing is written to disk: a restart loses users and data, as with many real servers.
  const settings = { bind: HOST, port, dir: home, requirepass: password, save: '""', appendonly: 'no' };
  const lines = Object.entries(settings).map(([name, value]) => `${name} ${value}\n`);
  const config = join(home, 'redis.conf');
  writeFileSync(config, lines.join(''), { mode: 0o600 });

  const command = async (...args) => {
    const { Redis } = await import('ioredis');
    const options = { host: HOST, port, password, lazyConnect: true, retryStrategy: () => null };
    const redis = new Redis(options);
    redis.on('error', () => {});
    try {
      await redis.connect();
      return await redis.call(...args);
    } finally {
      redis.disconnect();
    }
  };
  const start = async () => {
    const options = { cwd: home, env: cleanEnv(/^REDIS/, { LC_ALL: 'C' }) };
    await keeper.run({ command: binary(), args: [config], options, stopSignal: 'SIGKILL' });
    await untilReady('redis', keeper, async () => (await command('PING')) === 'PONG');
  };
  try {
    await start();
  } catch (error) {
    await keeper.end();
    throw error;
  }

  return running(keeper, start, { port, superuser, password, command });
}

// ---------------------------------------------------------------- set-up of OpenBao

export async function provisionRedis(bao, redis, options = {}) {
  const { roles = [{ name: 'cache', defaultTtl: '3s', maxTtl: '6s' }], staticRoles = [], ...rest } = options;
  const call = async (method, path, body) => expectOk(await bao.api(method, path, body));
  await mount(call, 'sys/mounts/database', { type: 'database' });
  await call('POST', 'database/config/redis', {
    plugin_name: bao.kind === 'vault' ? 'redis-database-plugin' : 'valkey-database-plugin',
    host: redis.host,
    port: redis.port,
    username: redis.superuser,
    password: redis.password,
    allowed_roles: ['*'],
  });
  for (const { name, defaultTtl, maxTtl, creationStatements = ['["~*", "&*", "+@all"]'] } of roles) {
    await call('POST', `database/roles/${name}`, {
      db_name: 'redis',
      default_ttl: defaultTtl,
      max_ttl: maxTtl,
      creation_statements: creationStatements,
    });
  }
  for (const { name, username, rotationPeriod } of staticRoles) {
    await redis.command('ACL', 'SETUSER', username, 'on', '~*', '&*', '+@all', '>before-the-first-rotation');
    await call('POST', `database/static-roles/${name}`, {
      db_name: 'redis',
      username,
      rotation_period: rotationPeriod,
    });
  }
  return provision(bao, undefined, rest);
}

/** The users that the database secrets engine has in Redis at this moment. */
export async function usersInRedis(redis) {
  const users = await redis.command('ACL', 'USERS');
  return users.filter((name) => name.startsWith('V_'));
}

/** The leased users of the connections that are open at this moment. */
export async function connectionsInRedis(redis) {
  const list = await redis.command('CLIENT', 'LIST');
  return [...list.matchAll(/ user=(V_\S+)/g)].map(([, user]) => user);
}
