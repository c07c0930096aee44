// RabbitMQ as installed on this machine, in a folder of its own and under a keeper, as in servers.mjs.
import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { delimiter, join } from 'node:path';
import {
  cleanEnv,
  expectOk,
  freePort,
  HOST,
  Keeper,
  makeTempDir,
  mount,
  provision,
  request,
  running,
  untilReady,
  withPort,
} from './servers.mjs';

/** Debian's script on the PATH changes the user; the one that it calls does not. */
const PLACES = ['/usr/lib/rabbitmq/bin', '/usr/local/sbin', '/opt/homebrew/sbin'];

const binary = (name, places = []) => {
  const { RABBITMQ_BIN_DIR: own, PATH = '' } = process.env;
  const folders = [...(own ? [own] : places), ...PATH.split(delimiter)];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
};

/** Whether RabbitMQ can be started here: in RABBITMQ_BIN_DIR, where packages put it, or on the PATH. */
export function rabbitMqAvailable() {
  const missing = [binary('rabbitmq-server', PLACES) ? '' : 'rabbitmq-server', binary('epmd') ? '' : 'epmd'];
  if (missing.every((name) => name === '')) return { ok: true };
  const reason = `no ${missing.filter(Boolean).join(', ')} here: install it (Debian: apt install rabbitmq-server), or set RABBITMQ_BIN_DIR.`;
  return { ok: false, reason };
}

export async function startRabbitMq({ port } = {}) {
  return withPort(port, launch);
}

async function launch(port) {
  const home = makeTempDir('rabbitmq');
  // Erlang starts a port mapper if there is none, and leaves it running; so the keeper starts one, which ends with us.
  const mapper = new Keeper();
  const keeper = new Keeper(home);
  const end = async () => {
    await keeper.end();
    await mapper.end();
  };
  try {
    const superuser = 'admin';
    const password = randomBytes(12).toString('hex');
    const [mapperPort, nodesPort, managementPort] = [await freePort(), await freePort(), await freePort()];
    await startMapper(mapper, mapperPort);

    const write = (name, lines) => {
      writeFileSync(join(home, name), `${lines.join('\n')}\n`, { mode: 0o600 });
      return join(home, name);
    };
    const config = write('rabbitmq.conf', [
      `listeners.tcp.1 = ${HOST}:${port}`,
      `management.tcp.ip = ${HOST}`,
      `management.tcp.port = ${managementPort}`,
      `default_user = ${superuser}`,
      `default_pass = ${password}`,
      'log.file = false',
      'log.console = true',
      // Making the default of 512 MB takes a second of the start.
      'raft.wal_max_size_bytes = 1048576',
    ]);
    const env = {
      HOME: home,
      LC_ALL: 'C.UTF-8',
      ERL_EPMD_PORT: String(mapperPort),
      ERL_EPMD_ADDRESS: HOST,
      RABBITMQ_NODENAME: `tests-${port}@localhost`,
      RABBITMQ_DIST_PORT: String(nodesPort),
      RABBITMQ_CONFIG_FILE: config,
      RABBITMQ_CONF_ENV_FILE: '/dev/null',
      RABBITMQ_ENABLED_PLUGINS_FILE: write('plugins', ['[rabbitmq_management].']),
      RABBITMQ_MNESIA_BASE: join(home, 'mnesia'),
      RABBITMQ_LOG_BASE: join(home, 'log'),
      RABBITMQ_LOGS: '-',
      RABBITMQ_PID_FILE: join(home, 'pid'),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
      // Makes the script exec the server, instead of waiting for it.
      RUNNING_UNDER_SYSTEMD: 'true',
    };
    const management = `http://${HOST}:${managementPort}`;
    const api = async (method, path, body) => {
      const authorization = `Basic ${Buffer.from(`${superuser}:${password}`).toString('base64')}`;
      const url = `${management}/api/${path}`;
      return expectOk(await request(url, { method, body, headers: { authorization }, timeout: 30_000 })).body;
    };
    const start = async () => {
      const options = { cwd: home, env: cleanEnv(/^(RABBITMQ|ERL|NOTIFY)/, env) };
      const command = binary('rabbitmq-server', PLACES);
      // An orderly end takes six seconds.
      await keeper.run({ command, args: [], options, stopSignal: 'SIGKILL' });
      await untilReady('rabbitmq', keeper, () => api('GET', 'overview'));
    };
    await start();

    return running(keeper, start, { port, superuser, password, management, api, stop: end });
  } catch (error) {
    await end();
    throw error;
  }
}

async function startMapper(keeper, port) {
  const args = ['-port', String(port), '-address', HOST];
  const options = { env: cleanEnv(/^ERL/, {}) };
  await keeper.run({ command: binary('epmd'), args, options, stopSignal: 'SIGKILL' });
  await untilReady('epmd', keeper, () => {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, HOST, () => resolve(socket.destroy())).on('error', reject);
    });
  });
}

// ---------------------------------------------------------------- set-up of OpenBao

const EVERYTHING = JSON.stringify({ '/': { configure: '.*', write: '.*', read: '.*' } });

export async function provisionRabbitMq(bao, rabbit, options = {}) {
  const { role = 'app', ttl = '3s', maxTtl = '6s', vhosts = EVERYTHING, ...rest } = options;
  const call = async (method, path, body) => expectOk(await bao.api(method, path, body));
  await mount(call, 'sys/mounts/rabbitmq', { type: 'rabbitmq' });
  await call('POST', 'rabbitmq/config/connection', {
    connection_uri: rabbit.management,
    username: rabbit.superuser,
    password: rabbit.password,
  });
  await call('POST', 'rabbitmq/config/lease', { ttl, max_ttl: maxTtl });
  await call('POST', `rabbitmq/roles/${role}`, { vhosts });
  return provision(bao, undefined, {
    policy: `
path "rabbitmq/creds/${role}" { capabilities = ["read"] }
path "sys/leases/renew"       { capabilities = ["update"] }
path "sys/leases/lookup"      { capabilities = ["update"] }`,
    ...rest,
  });
}

/** The users that the secrets engine has in RabbitMQ at this moment. */
export async function usersInRabbitMq(rabbit) {
  const users = await rabbit.api('GET', 'users');
  return users.map(({ name }) => name).filter((name) => name !== rabbit.superuser);
}
