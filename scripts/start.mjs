// npm start: a sample application on real servers, or on the user's own (VAULT_ADDR).
// Runs in a fresh clone, so it imports nothing that must be installed first.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startOpenBao } from '../test/support/servers.mjs';
import { backendOf, NAMES } from './backends/index.mjs';
import { ensureBuilt, ensureInstalled, ensureSample, SetupError } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const GONE_WITHIN_MS = 5_000;
const LOOK_EVERY_MS = 500;

const USAGE = `Usage: npm start -- [--sample <name>] [--for <seconds>] [--ttl <seconds>] [--port <port>]

A Nest application whose user (of a database, a broker, ...) is issued, renewed and rotated while it works. Without
VAULT_ADDR this script starts OpenBao and the other servers; with it, the sample runs on your servers: see its README.

  --sample <name>  one of these, or the start of a name (default: the first)
                   ${NAMES.join('\n                   ')}
  --for <seconds>  end after this time; exit code 0 only if nothing failed and no user is left
  --ttl <seconds>  TTL of a user (default: 10); its max TTL is three times that
  --port <port>    HTTP port of samples 01 to 04 (default: PORT, or 3000, or a free one if that is in use)
  --help           this text`;

let sample;
let interruptedAt = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interrupt(signal));

try {
  process.exitCode = await main(parseOptions());
} catch (error) {
  // All started servers end with this process.
  process.stderr.write(`${error instanceof SetupError ? error.message : error.stack}\n`);
  process.exitCode = 1;
}

async function main(options) {
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
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

  const env = { PORT: String(options.port ?? process.env.PORT ?? (await portFrom(3000))) };
  if (options.for) env.RUN_FOR_SECONDS = String(options.for);
  const run = { ...options, backend, entry, env };
  return own ? onOwnServers(run) : onLocalServers(run, simulated);
}

/** The reason why there is no server binary, if any. */
async function whyNoServer({ title, simulate, onlySimulated }) {
  if (onlySimulated) return onlySimulated;
  try {
    await ensureOpenBao({ log: console.error });
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
  console.log(`Using a simulated server instead of OpenBao: ${simulated}\n`);
  const [server] = await Promise.allSettled([backend.start()]);
  if (!server.value) return [server];
  return [...(await Promise.allSettled([backend.simulate(server.value)])), server];
}

async function onOwnServers({ sample: name, backend, entry, env }) {
  console.log(`Using the servers of VAULT_ADDR (${process.env.VAULT_ADDR}) and ${backend.variable}.\n`);
  const code = await runSample(name, entry, { ...process.env, ...env });
  if (code === 0) console.log(`  users left  revocation requested; check ${backend.look}`);
  return code;
}

async function onLocalServers({ sample: name, ttl, backend, entry, env }, simulated) {
  const started = await startServers(backend, simulated);
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
    const line = (title, text) => console.log(`${title.padEnd(12)}${text}`);
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
  return new Promise((resolve, reject) => {
    sample = spawn(process.execPath, [entry], {
      cwd: join(root, 'sample', name),
      env,
      stdio: 'inherit',
    });
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
      if (left.length > 0 && Date.now() - endedAt < GONE_WITHIN_MS) {
        await sleep(50);
        continue;
      }
      const last = [...seen].at(-1);
      console.log(
        left.length > 0
          ? `  users left  ${left.length} of ${seen.size}: ${left.join(', ')}`
          : `  users left  0 of ${seen.size}${last ? `: the last one, ${last}, was removed from ${backend.title}` : ''}`,
      );
      return left.length;
    }
  };
}

// The first signal lets the sample end its work (from a terminal the sample has received it already, and ignores
// another one); the servers run until then, and end with this process. npm forwards the terminal's signal, too, so only
// a later one forces the end.
function interrupt(signal) {
  const first = interruptedAt === 0;
  if (first) interruptedAt = Date.now();
  if (first && sample) {
    // On Windows the sample has received the terminal's signal, and `kill` would not let it end its work.
    if (process.platform !== 'win32') sample.kill(signal);
  } else if (first || Date.now() - interruptedAt > 500) {
    sample?.kill('SIGKILL');
    process.exit(130);
  }
}

function parseOptions() {
  try {
    const { values } = parseArgs({
      options: {
        sample: { type: 'string', default: NAMES[0] },
        for: { type: 'string' },
        ttl: { type: 'string' },
        port: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    const named = NAMES.find((name) => name.startsWith(values.sample));
    if (!named) throw new SetupError(`--sample must be one of ${NAMES.join(', ')}, not "${values.sample}".`);
    const number = (name, min, max) => {
      const value = values[name];
      if (value === undefined) return undefined;
      if (/^\d+$/.test(value) && Number(value) >= min && Number(value) <= max) return Number(value);
      throw new SetupError(`--${name} must be a whole number from ${min} to ${max}, not "${value}".`);
    };
    return {
      sample: named,
      help: values.help,
      for: number('for', 1, 2_000_000),
      ttl: number('ttl', 2, 3_600) ?? 10,
      port: number('port', 0, 65_535),
    };
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${USAGE}\n`);
    process.exit(2);
  }
}

/** The requested port, or a free one. */
function portFrom(wish) {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', () => resolve(0));
    probe.listen(wish, '127.0.0.1', () => probe.close(() => resolve(wish)));
  });
}
