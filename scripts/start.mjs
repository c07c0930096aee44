// npm start: the sample application on real servers, or on the user's own (VAULT_ADDR).
// Runs in a fresh clone, so nothing is imported that has to be installed first.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startOpenBao, startPostgres, provision, usersInDatabase } from '../test/support/servers.mjs';
import { ensureBuilt, ensureInstalled, ensureSample, SetupError } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

const SAMPLES = ['01-rotating-database', '02-typeorm', '03-prisma'];
const root = fileURLToPath(new URL('..', import.meta.url));
const LEASE = { name: 'orders', defaultTtl: '10s', maxTtl: '30s' };
const TOKEN = { token_ttl: '20s', token_max_ttl: '60s' };
const GONE_WITHIN_MS = 5_000;
const LOOK_EVERY_MS = 500;

const USAGE = `Usage: npm start -- [--sample <name>] [--for <seconds>] [--port <port>]

A Nest application whose database user is issued, renewed and rotated while it works. Without VAULT_ADDR it gets
an OpenBao and a PostgreSQL of its own; with it, it runs on your servers: see sample/${SAMPLES[0]}/README.md.

  --sample <name>  ${SAMPLES.join(', ')} (default: the first)
  --for <seconds>  end by itself; exit code 0 only if no query failed and no database user is left
  --port <port>    of the application (default: PORT, or 3000, or a free one if that is taken)
  --help           this text`;

/** Its folder. */
let folder;
let sample;
let interruptedAt = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interrupt(signal));

try {
  process.exitCode = await main(parseOptions());
} catch (error) {
  // What was started ends with this process.
  process.stderr.write(`${error instanceof SetupError ? error.message : error.stack}\n`);
  process.exitCode = 1;
}

async function main(options) {
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  const own = Boolean(process.env.VAULT_ADDR);
  folder = join('sample', options.sample);
  // The two long downloads of a fresh clone, at the same time.
  const [, simulated] = await Promise.all([ensureInstalled(), own ? undefined : whyNoServer()]);
  await ensureBuilt();
  const entry = await ensureSample(folder);

  const env = { PORT: String(options.port ?? process.env.PORT ?? (await portFrom(3000))) };
  if (options.for) env.RUN_FOR_SECONDS = String(options.for);
  return own ? onOwnServers(entry, env) : onLocalServers(entry, env, simulated);
}

/** Why there is no server binary here, if so. */
async function whyNoServer() {
  try {
    await ensureOpenBao({ log: console.error });
    return undefined;
  } catch (error) {
    const reason = `${error.message.replaceAll('\n', ' ')} Or set VAULT_ADDR to a server of yours.`;
    // There a server was promised, and a simulated one would prove less than it seems to.
    if (process.env.CI === 'true') throw new SetupError(reason, { cause: error });
    return reason;
  }
}

/** A server and its database; where the server is simulated, the users it makes in the database are real. */
async function startServers(simulated) {
  if (!simulated) return Promise.allSettled([startOpenBao(), startPostgres()]);
  console.log(`Instead of OpenBao a simulated server: ${simulated}\n`);
  const { startSimulatedServer } = await import('./simulated-server.mjs');
  const [postgres] = await Promise.allSettled([startPostgres()]);
  if (!postgres.value) return [postgres];
  return [...(await Promise.allSettled([startSimulatedServer(postgres.value)])), postgres];
}

async function onOwnServers(entry, env) {
  console.log(`On the servers of VAULT_ADDR (${process.env.VAULT_ADDR}) and PGHOST.\n`);
  const code = await runSample(entry, { ...process.env, ...env });
  if (code === 0) {
    console.log(
      `  users left  revocation requested; check SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'`,
    );
  }
  return code;
}

async function onLocalServers(entry, env, simulated) {
  const started = await startServers(simulated);
  const servers = started.flatMap(({ value }) => value ?? []);
  try {
    for (const { reason } of started) if (reason) throw reason;
    const [bao, postgres] = servers;
    const { roleId, secretId } = await setUp(bao, postgres);
    console.log(`${simulated ? 'Simulated  ' : 'OpenBao    '} ${bao.address}`);
    console.log(
      `            users live ${LEASE.defaultTtl}, at most ${LEASE.maxTtl}; tokens live 20s, at most 60s`,
    );
    console.log(`PostgreSQL  ${postgres.host}:${postgres.port}, database ${postgres.database}\n`);

    const usersLeft = watchUsers(postgres);
    const code = await runSample(entry, {
      // Nothing of the user's own set-up may find its way in.
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VAULT_|BAO_|PG)/i.test(name))),
      ...env,
      VAULT_ADDR: bao.address,
      VAULT_ROLE_ID: roleId,
      VAULT_SECRET_ID: secretId,
      PGHOST: postgres.host,
      PGPORT: String(postgres.port),
      PGDATABASE: postgres.database,
    });
    const left = await usersLeft();
    return code === 0 && left > 0 ? 1 : code;
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/** What an administrator sets up once: see the README of the sample for the same by hand. */
async function setUp(bao, postgres) {
  const file = (name) => readFileSync(join(root, folder, name), 'utf8');
  await postgres.query(file('setup.sql'));
  return provision(bao, postgres, {
    roles: [
      {
        ...LEASE,
        creationStatements: [file('creation.sql')],
        revocationStatements: [file('revocation.sql')],
      },
    ],
    approleName: 'orders',
    policy: file('policy.hcl'),
    approle: { ...TOKEN, token_no_default_policy: true },
  });
}

/** The sample gets what it would get in production: variables. Gives its exit code. */
function runSample(entry, env) {
  return new Promise((resolve, reject) => {
    sample = spawn(process.execPath, [entry], {
      cwd: join(root, folder),
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

/** Looks on as users come and go, and tells at the end whether all are gone. */
function watchUsers(postgres) {
  const seen = new Set();
  const look = async () => {
    const users = await usersInDatabase(postgres).catch(() => []);
    for (const user of users) seen.add(user);
  };
  const timer = setInterval(look, LOOK_EVERY_MS).unref();

  return async function usersLeft() {
    clearInterval(timer);
    // The server revokes on its own time, within a second as a rule.
    const endedAt = Date.now();
    for (;;) {
      const left = await usersInDatabase(postgres);
      if (left.length > 0 && Date.now() - endedAt < GONE_WITHIN_MS) {
        await sleep(50);
        continue;
      }
      const last = [...seen].at(-1);
      console.log(
        left.length > 0
          ? `  users left  ${left.length} of ${seen.size}: ${left.join(', ')}`
          : `  users left  0 of ${seen.size}${last ? `: ${last} is gone from PostgreSQL, too` : ''}`,
      );
      return left.length;
    }
  };
}

// The first one lets the sample end its work (from a terminal it has got the signal already, and ignores another);
// the servers stay until it has, and end with this process. npm passes on what the terminal has sent us as well,
// so only a later one is meant to force.
function interrupt(signal) {
  const first = interruptedAt === 0;
  if (first) interruptedAt = Date.now();
  if (first && sample) {
    // On Windows the sample has the terminal's signal as well, and `kill` would not let it end its work.
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
        sample: { type: 'string', default: SAMPLES[0] },
        for: { type: 'string' },
        port: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    const named = SAMPLES.find((name) => name.startsWith(values.sample));
    if (!named) throw new SetupError(`--sample takes one of ${SAMPLES.join(', ')}, not "${values.sample}".`);
    const number = (name, min, max) => {
      const value = values[name];
      if (value === undefined) return undefined;
      if (/^\d+$/.test(value) && Number(value) >= min && Number(value) <= max) return Number(value);
      throw new SetupError(`--${name} takes a whole number from ${min} to ${max}, not "${value}".`);
    };
    return {
      sample: named,
      help: values.help,
      for: number('for', 1, 2_000_000),
      port: number('port', 0, 65_535),
    };
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${USAGE}\n`);
    process.exit(2);
  }
}

/** The port wished for, or a free one. */
function portFrom(wish) {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', () => resolve(0));
    probe.listen(wish, '127.0.0.1', () => probe.close(() => resolve(wish)));
  });
}
