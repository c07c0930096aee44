// npm start: a sample application on real servers, or on the user's own (VAULT_ADDR).
// Runs in a fresh clone, so it imports nothing that must be installed first.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startOpenBao } from '../test/support/servers.mjs';
import { backendOf, NAMES } from './backends/index.mjs';
import { ensureBuilt, ensureInstalled, ensureSample, SetupError } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';
import { startOptions, UsageError } from './setup/start-options.mjs';
import { withProgress } from './setup/progress.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const GONE_WITHIN_MS = 5_000;
const LOOK_EVERY_MS = 500;
/** One Ctrl-C may arrive as several signals: of the terminal, and of npm. */
const ONE_CTRL_C_MS = 500;
/** Longer than a process that ends at once waits for its server (`shutdown.exitTimeout`). */
const ENDED_WITHIN_MS = 4_000;

const USAGE = `Usage: npm start -- [--sample <name>] [--for <seconds>] [--ttl <seconds>] [--port <port>] [--json]

A Nest application whose user (of a database, a broker, ...) is issued, renewed and rotated while it works. Without
VAULT_ADDR this script starts OpenBao and the other servers; with it, the sample runs on your servers: see its README.
In a terminal, the lines at the bottom show the token, the leases and the pools; in a pipe, with NO_COLOR and with
TERM=dumb there are none.

  --sample <name>  one of these, by its number or a part of its name (default: the first)
                   ${NAMES.join('\n                   ')}
  --for <seconds>  end after this time; exit code 0 only if nothing failed and no user is left
  --ttl <seconds>  TTL of a user (default: 10); its max TTL is three times that
  --port <port>    HTTP port of samples 01 to 04 (default: PORT, or 3000, or a free one if that is in use)
  --json           each event and each change of the status as a line of JSON (npm start --silent -- --json | jq)
  --help           this text

Ctrl-C ends the application and its users; a second one ends it at once.`;

let sample;
let interruptedAt = 0;
/** A second Ctrl-C. */
let atOnce = false;
/** Standard output is for the JSON of the sample, if that was asked for. */
let say = console.log;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interrupt(signal));
// The reader of a pipe has ended, such as `head`: so does the sample, as it finds its own standard output closed.
process.stdout.on('error', () => sample?.stdout?.destroy());

try {
  process.exitCode = await main(startOptions(process.argv.slice(2), NAMES));
} catch (error) {
  // All started servers end with this process.
  const expected = error instanceof SetupError || error instanceof UsageError;
  process.stderr.write(`${expected ? error.message : error.stack}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

async function main(options) {
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  if (options.json) say = console.error;
  const port = await portOf(options);
  const own = Boolean(process.env.VAULT_ADDR);
  const backend = await backendOf(options.sample);
  const here = backend.available();
  if (!own && !here.ok) {
    const remedy = `To use your own servers, set VAULT_ADDR and ${backend.variable} (sample/${options.sample}/README.md).`;
    throw new SetupError(`${options.sample} needs ${backend.title}: ${here.reason} ${remedy}`);
  }
  // The two long downloads of a fresh clone run at the same time.
  const [, simulated] = await Promise.all([ensureInstalled(), own ? undefined : whyNoServer(backend)]);
  await ensureBuilt();
  const entry = await ensureSample(join('sample', options.sample));

  const env = { PORT: String(port), ...(options.json && { DASHBOARD: 'json' }) };
  if (options.for) env.RUN_FOR_SECONDS = String(options.for);
  const run = { ...options, backend, entry, env };
  return own ? onOwnServers(run) : onLocalServers(run, simulated);
}

/** The reason why there is no server binary, if any. */
async function whyNoServer({ title, simulate, onlySimulated }) {
  if (onlySimulated) return onlySimulated;
  try {
    await ensureOpenBao();
    return undefined;
  } catch (error) {
    const reason = `${error.message.replaceAll('\n', ' ')} Or set VAULT_ADDR to your own server.`;
    // CI requires a real server: a simulated one would prove less.
    if (process.env.CI === 'true') throw new SetupError(reason, { cause: error });
    if (!simulate)
      throw new SetupError(`There is no simulated server for ${title}. ${reason}`, { cause: error });
    return reason;
  }
}

/** Starts a Vault, and the server that its users log in to. */
async function startServers(backend, simulated) {
  if (!simulated) return Promise.allSettled([startOpenBao(), backend.start()]);
  say(`Using a simulated server instead of OpenBao: ${simulated}\n`);
  const [server] = await Promise.allSettled([backend.start()]);
  if (!server.value) return [server];
  return [...(await Promise.allSettled([backend.simulate(server.value)])), server];
}

async function onOwnServers({ sample: name, backend, entry, env }) {
  say(`Using the servers of VAULT_ADDR (${process.env.VAULT_ADDR}) and ${backend.variable}.\n`);
  const code = await runSample(name, entry, { ...process.env, ...env });
  if (code === 0) say(`  users left  revocation requested; check ${backend.look}`);
  return code;
}

async function onLocalServers({ sample: name, ttl, backend, entry, env }, simulated) {
  const title = `Starting ${simulated ? 'the simulated server' : 'OpenBao'} and ${backend.title}`;
  const started = await withProgress(title, startServers(backend, simulated));
  const servers = started.flatMap(({ value }) => value ?? []);
  try {
    for (const { reason } of started) if (reason) throw reason;
    const [vault, server] = servers;
    // The administrator's set-up; the README of the sample has the same by hand.
    const { roleId, secretId } = await backend.setUp(vault, server, {
      file: (path) => readFileSync(join(root, 'sample', name, path), 'utf8'),
      lease: { defaultTtl: `${ttl}s`, maxTtl: `${3 * ttl}s` },
      approle: { token_ttl: `${2 * ttl}s`, token_max_ttl: `${6 * ttl}s`, token_no_default_policy: true },
    });
    const line = (title, text) => say(`${title.padEnd(12)}${text}`);
    line(simulated ? 'Simulated' : 'OpenBao', vault.address);
    line('', `users live ${ttl}s, at most ${3 * ttl}s; tokens live ${2 * ttl}s, at most ${6 * ttl}s`);
    line(backend.title, `${backend.where(server)}\n`);

    const usersLeft = watchUsers(backend, server);
    const code = await runSample(name, entry, {
      ...withoutOwnServers(process.env),
      ...env,
      VAULT_ADDR: vault.address,
      VAULT_ROLE_ID: roleId,
      VAULT_SECRET_ID: secretId,
      ...backend.env(server),
    });
    const left = await usersLeft();
    if (atOnce) say('The servers of this run end now, and with them all that is left.');
    return code === 0 && left > 0 ? 1 : code;
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/** The environment without the user's own settings. */
function withoutOwnServers(env) {
  const own = /^(VAULT_|BAO_|PG|MYSQL_|REDIS_|RABBITMQ_|MONGODB_|AWS_)/i;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !own.test(name)));
}

/** Runs the sample with variables, as in production; returns its exit code. */
function runSample(name, entry, env) {
  const json = env.DASHBOARD === 'json';
  return new Promise((resolve, reject) => {
    sample = spawn(process.execPath, [entry], {
      cwd: join(root, 'sample', name),
      env,
      stdio: ['inherit', json ? 'pipe' : 'inherit', 'inherit'],
    });
    // Its start may have logged something before its dashboard began.
    if (json)
      createInterface({ input: sample.stdout }).on('line', (line) =>
        (line.startsWith('{') ? process.stdout : process.stderr).write(`${line}\n`),
      );
    sample.once('error', reject);
    sample.once('close', (code, signal) => {
      sample = undefined;
      resolve(code ?? (signal === 'SIGINT' ? 130 : 1));
    });
  });
}

/** Records the users of the database, and prints at the end whether all have been removed. */
function watchUsers(backend, server) {
  const seen = new Set();
  const look = async () => {
    const users = await backend.users(server).catch(() => []);
    for (const user of users) seen.add(user);
  };
  const timer = setInterval(look, LOOK_EVERY_MS).unref();

  return async function usersLeft() {
    clearInterval(timer);
    // The server revokes asynchronously, usually within a second.
    const endedAt = Date.now();
    for (;;) {
      const left = await backend.users(server);
      if (left.length > 0 && !atOnce && Date.now() - endedAt < GONE_WITHIN_MS) {
        await sleep(50);
        continue;
      }
      const last = [...seen].at(-1);
      if (left.length === 0 && last) say(`  last user   ${last} (removed)`);
      const names = left.length > 0 ? `: ${left.join(', ')}` : '';
      say(`  users left  ${left.length} of ${seen.size} in ${backend.title}${names}`);
      return left.length;
    }
  };
}

// The first signal lets the sample end its work (from a terminal the sample has received it already); the servers run
// until then, and end with this process. A second Ctrl-C ends the sample at once: it says what it leaves. npm forwards the
// terminal's signal, too, so only a later one is a second one.
function interrupt(signal) {
  const first = interruptedAt === 0;
  if (!first && Date.now() - interruptedAt < ONE_CTRL_C_MS) return;
  interruptedAt = Date.now();
  if (!sample || atOnce) {
    sample?.kill('SIGKILL');
    process.exit(130);
  }
  // On Windows the sample has received the terminal's signal, and `kill` would not let it end its work.
  if (process.platform !== 'win32') sample.kill(signal);
  if (first) return;
  atOnce = true;
  setTimeout(() => sample?.kill('SIGKILL'), ENDED_WITHIN_MS).unref();
}

/** The requested port, or a free one. A port that is in use is reported before any server starts. */
async function portOf({ port, sample: name }) {
  const wish = port ?? (process.env.PORT ? Number(process.env.PORT) : undefined);
  if (await isFree(wish ?? 3000)) return wish ?? 3000;
  if (wish === undefined) return 0;
  // Samples without HTTP ignore the port.
  if (!/^0[1-4]/.test(name)) return wish;
  throw new SetupError(
    `Port ${wish} is in use, or not allowed.\nAnother one: --port <port>, or --port 0 for a free one.`,
  );
}

function isFree(port) {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, process.env.HOST ?? '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
