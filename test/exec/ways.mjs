// The ways in which `nestjs-vault exec` can end. Each runs the bin in a process group of its own, without a terminal
// unless the way has one.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KEYS, onTerminal } from '../support/terminal.mjs';
import { unreadPipe } from '../support/unread-pipe.mjs';

/** The beginning of every command: it reports its environment, and so that it runs. */
const REPORT = `require('node:fs').writeFileSync(process.env.REPORT, JSON.stringify(process.env));`;
const LIVES = `setInterval(() => {}, 1000);`;
const ON = (signal, code) => `process.on('${signal}', () => { ${code} });`;

/** Fails if a process of this machine shows the password or the secret_id in its arguments. */
const ARGV = `
  const fs = require('node:fs');
  const secrets = [process.env.DB_PASSWORD, process.env.CANARY_SECRET];
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name))) {
    let line = '';
    try { line = fs.readFileSync('/proc/' + pid + '/cmdline', 'utf8'); } catch {}
    if (secrets.some((secret) => line.includes(secret))) process.exit(9);
  }`;

/**
 * @typedef {object} Way
 * @property {string} name
 * @property {string} [handlers] of the command, before its report
 * @property {string} [script] of the command, after its report
 * @property {string[]} [command] in place of node and the script
 * @property {string[]} [flags] before `--`
 * @property {(run: object) => unknown} [act] once the command runs; or at once, if it never does (`starts: false`). It may
 *   return a list of problems
 * @property {boolean} [simulated] on the simulated server only, whose answers can be late
 * @property {boolean} [terminal] on a terminal of its own, whose keys `press` presses
 * @property {boolean} [unread] with a standard error that nobody reads before `pipe.read()`
 * @property {boolean} [container] in a PID namespace of its own, which only root can make
 * @property {RegExp} [stay] files that stay
 * @property {number} [code] exit code; undefined if a signal ends the wrapper
 * @property {RegExp} [says] on standard error
 * @property {number} [within] milliseconds in which nothing may be left at the server; at the end at once by default
 */
const ALL = [
  { name: 'the command ends well', script: '', code: 0 },
  { name: 'the command fails', script: 'process.exit(7)', code: 7 },
  { name: 'no argument of a process has a secret', script: ARGV, code: 0 },
  { name: 'the command kills itself', script: `process.kill(process.pid, 'SIGKILL')`, code: 137 },
  {
    name: 'the command is terminated',
    script: LIVES,
    act: ({ child }) => process.kill(child(), 'SIGTERM'),
    code: 143,
  },
  { name: 'SIGTERM', script: LIVES, act: ({ signal }) => signal('SIGTERM'), code: 143 },
  { name: 'SIGINT without a terminal', script: LIVES, act: ({ signal }) => signal('SIGINT'), code: 130 },
  { name: 'SIGHUP without a terminal', script: LIVES, act: ({ signal }) => signal('SIGHUP'), code: 129 },
  {
    name: 'SIGTERM, which the command handles',
    handlers: ON('SIGTERM', 'setTimeout(() => process.exit(3), 300)'),
    script: LIVES,
    act: ({ signal }) => signal('SIGTERM'),
    code: 3,
  },
  {
    name: 'SIGTERM, which the command ignores',
    handlers: ON('SIGTERM', ''),
    script: LIVES,
    flags: ['--grace', '1s'],
    act: ({ signal }) => signal('SIGTERM'),
    code: 137,
    says: /did not end within 1 s of SIGTERM, so it was killed/,
  },
  {
    name: 'a second SIGTERM',
    handlers: ON('SIGTERM', ''),
    script: LIVES,
    flags: ['--grace', '10m'],
    async act({ signal }) {
      signal('SIGTERM');
      await sleep(1_200);
      signal('SIGTERM');
    },
    code: 137,
    says: /before a second signal \(SIGTERM\), so it was killed/,
  },
  {
    name: 'the same signal twice at once',
    handlers: `let n = 0; ${ON('SIGINT', `if (n++ === 0) setTimeout(() => process.exit(n), 300)`)}`,
    script: LIVES,
    act({ signal }) {
      signal('SIGINT');
      signal('SIGINT');
    },
    code: 1,
  },
  {
    name: 'SIGUSR2',
    handlers: ON('SIGUSR2', 'process.exit(5)'),
    script: LIVES,
    act: ({ signal }) => signal('SIGUSR2'),
    code: 5,
  },
  {
    name: 'input that ends',
    script: `process.stdin.resume().on('end', () => process.exit(4))`,
    act: ({ wrapper }) => wrapper.stdin.end(),
    code: 4,
  },
  {
    name: 'a reader of the output that has gone',
    script: `setTimeout(() => process.exit(6), 300)`,
    act({ wrapper }) {
      wrapper.stdout.destroy();
      wrapper.stderr.destroy();
    },
    code: 6,
  },
  {
    name: 'a command that does not exist',
    command: ['./nothing'],
    starts: false,
    code: 127,
    says: /\.\/nothing: command not found/,
  },
  {
    name: 'a command that cannot be executed',
    command: ['./data.txt'],
    starts: false,
    code: 126,
    says: /data\.txt: cannot be executed \(EACCES\)/,
  },
  {
    name: 'a command below a file',
    command: ['./data.txt/nothing'],
    starts: false,
    code: 126,
    says: /nothing: cannot be executed \(ENOTDIR\)/,
  },
  {
    name: 'a command without a name',
    command: [''],
    starts: false,
    code: 126,
    says: /cannot be executed \(ERR_INVALID_ARG_VALUE\)/,
  },
  {
    name: 'a TTL that is too short',
    flags: ['--ttl', '1s'],
    starts: false,
    code: 125,
    says: /--ttl.*at least 2s/,
  },
  {
    name: 'a login that is refused',
    env: { VAULT_SECRET_ID: 'wrong', BAO_SECRET_ID: undefined },
    starts: false,
    code: 125,
    says: /\[VAULT_LOGIN_INPUT_INVALID\]/,
  },
  {
    name: 'a role that does not exist',
    role: 'nothing',
    starts: false,
    code: 125,
    says: /\[VAULT_(ROLE_NOT_FOUND|PERMISSION_DENIED)\]/,
  },
  {
    name: 'no credentials named',
    role: null,
    starts: false,
    code: 125,
    says: /name credentials by --database/,
  },
  {
    name: 'NODE_DEBUG, by which Node would print the secrets',
    env: { NODE_DEBUG: 'http,Child_*' },
    starts: false,
    code: 125,
    says: /NODE_DEBUG includes child_process.*\[VAULT_CONFIG_INVALID\]/,
  },
  {
    name: 'a signal during the login',
    starts: false,
    before: ({ proxy }) => proxy.blackhole(),
    async act({ signal, proxy }) {
      while (proxy.connections === 0) await sleep(20);
      signal('SIGTERM');
    },
    signal: 'SIGTERM',
  },
  {
    name: 'a signal during the login, as the first process of a container',
    starts: false,
    container: true,
    before: ({ proxy }) => proxy.blackhole(),
    async act({ child, proxy }) {
      while (proxy.connections === 0) await sleep(20);
      process.kill(child(), 'SIGTERM');
    },
    code: 143,
  },
  {
    name: 'SIGTERM while a user is issued, with a given token',
    starts: false,
    simulated: true,
    env: { VAULT_TOKEN: 'root' },
    before: ({ server }) => server.delay(1_000, /database.creds/),
    async act({ signal, server }) {
      while (server.count(/database.creds/) === 0) await sleep(20);
      signal('SIGTERM');
    },
    code: 143,
  },
  {
    name: 'SIGQUIT while a user is issued',
    starts: false,
    simulated: true,
    before: ({ server }) => server.delay(1_000, /database.creds/),
    async act({ signal, server }) {
      while (server.count(/database.creds/) === 0) await sleep(20);
      signal('SIGQUIT');
    },
    code: 131,
  },
  {
    name: 'the server is gone before',
    starts: false,
    before: ({ proxy }) => proxy.cut(),
    code: 125,
    says: /\[VAULT_UNREACHABLE\]/,
    slow: true,
  },
  {
    name: 'the server is gone for a while',
    script: `setTimeout(() => process.exit(0), 4000)`,
    flags: ['--ttl', '6s'],
    async act({ proxy }) {
      await proxy.cut();
      await sleep(2_000);
      await proxy.restore();
    },
    code: 0,
  },
  {
    name: 'the server is gone at the end',
    script: LIVES,
    flags: ['--ttl', '3s'],
    async act({ proxy, signal }) {
      await proxy.cut();
      signal('SIGTERM');
    },
    code: 143,
    says: /could not be revoked/,
    within: 6_000,
    tokens: 1,
    slow: true,
  },
  {
    name: 'SIGKILL',
    script: LIVES,
    flags: ['--ttl', '3s'],
    act({ signal, child }) {
      const orphan = child();
      signal('SIGKILL');
      process.kill(orphan, 'SIGKILL');
    },
    signal: 'SIGKILL',
    says: /leased until [\d-]+T[\d:.]+Z, .*If this process is killed \(SIGKILL\), the lease ends at most [23] s later/,
    within: 6_000,
    tokens: 1,
  },
  {
    name: 'the lease is revoked by an operator',
    script: `setTimeout(() => process.exit(0), 5000)`,
    flags: ['--ttl', '4s'],
    act: ({ revoke }) => revoke(),
    code: 0,
    says: /expired, no valid credential/,
    slow: true,
  },
  {
    name: 'the command outlives the max TTL',
    role: 'short',
    script: `setTimeout(() => process.exit(0), 5500)`,
    code: 0,
    says: /the lease ends at [\d-]+T[\d:.]+Z, in \d+ s \(its max TTL\)/,
    slow: true,
  },
  {
    name: 'a standard error that nobody reads: leases are renewed, signals passed on, and nothing is left',
    simulated: true,
    unread: true,
    // The end of the second lease is a line; the first one lives by its renewals.
    flags: ['--ttl', '3s', '--env', 'OTHER=database/creds/short#username'],
    script: LIVES,
    async act({ pipe, signal, server, left }) {
      pipe.fill();
      await until(() => server.liveLeases.length === 1);
      await sleep(4_000);
      const renewed = server.liveLeases.length === 1;
      signal('SIGTERM');
      const ended = await nothingLeft(left);
      pipe.read();
      return [!renewed && 'the lease was not renewed', !ended && 'nothing ended before the pipe was read'];
    },
    code: 143,
    says: /creds\/short: the lease ends at .*its max TTL/,
    within: 0,
  },
  {
    name: 'a standard error that nobody reads, and a command that is killed',
    unread: true,
    handlers: ON('SIGTERM', ''),
    script: LIVES,
    flags: ['--grace', '1s'],
    async act({ pipe, signal, left }) {
      pipe.fill();
      signal('SIGTERM');
      const ended = await nothingLeft(left);
      pipe.read();
      return [!ended && 'nothing ended before the pipe was read'];
    },
    code: 137,
    says: /did not end within 1 s of SIGTERM, so it was killed/,
    within: 0,
  },
  {
    name: 'a standard error that nobody reads: after the end of the lease, SIGTERM ends the wrapper',
    simulated: true,
    unread: true,
    handlers: ON('SIGTERM', ''),
    script: LIVES,
    flags: ['--grace', '1s'],
    async act({ pipe, signal, left, wrapper }) {
      pipe.fill();
      signal('SIGTERM');
      await nothingLeft(left);
      while (wrapper.exitCode === null && wrapper.signalCode === null) {
        signal('SIGTERM');
        await sleep(100);
      }
    },
    signal: 'SIGTERM',
    within: 0,
  },
  {
    name: 'Ctrl+C at a terminal, which the command gets once',
    terminal: true,
    handlers: `let n = 0; ${ON('SIGINT', `if (n++ === 0) setTimeout(() => process.exit(10 + n), 1500)`)}`,
    script: LIVES,
    act: ({ press }) => press('Ctrl+C'),
    code: 11,
  },
  {
    name: 'Ctrl+C at a terminal, which the command does not handle',
    terminal: true,
    script: LIVES,
    act: ({ press }) => press('Ctrl+C'),
    code: 130,
  },
  {
    name: 'Ctrl+C twice at a terminal: the command decides, and is not killed',
    terminal: true,
    handlers: `let n = 0; ${ON('SIGINT', 'if (++n === 2) process.exit(10 + n)')}`,
    script: LIVES,
    flags: ['--grace', '1s'],
    async act({ press }) {
      press('Ctrl+C');
      await sleep(2_500);
      press('Ctrl+C');
    },
    code: 12,
  },
  {
    name: 'Ctrl+\\ at a terminal',
    terminal: true,
    handlers: ON('SIGQUIT', 'process.exit(13)'),
    script: LIVES,
    act: ({ press }) => press('Ctrl+\\'),
    code: 13,
  },
  {
    name: 'Ctrl+C at a terminal during the login',
    terminal: true,
    starts: false,
    before: ({ proxy }) => proxy.blackhole(),
    async act({ press, proxy }) {
      while (proxy.connections === 0) await sleep(20);
      press('Ctrl+C');
    },
    code: 130,
  },
  {
    name: 'the terminal is closed',
    terminal: true,
    script: LIVES,
    act: ({ signal }) => signal('SIGKILL'),
    signal: 'SIGKILL',
  },
  {
    name: 'files, at a usual end',
    flags: ['--file', 'KEY_FILE=secret/data/app#key', '--write-env', 'db.env'],
    script: FILES('process.exit(0)'),
    code: 0,
    gone: ['db.env'],
  },
  {
    name: 'files, after a signal',
    flags: ['--file', 'KEY_FILE=secret/data/app#key', '--write-env', 'db.env'],
    script: FILES(LIVES),
    act: ({ signal }) => signal('SIGTERM'),
    code: 143,
    gone: ['db.env'],
  },
  {
    name: 'files, after SIGKILL',
    flags: ['--ttl', '3s', '--file', 'KEY_FILE=secret/data/app#key', '--write-env', 'db.env'],
    script: FILES(LIVES),
    act({ signal, child }) {
      const pid = child();
      signal('SIGKILL');
      process.kill(pid, 'SIGKILL');
    },
    signal: 'SIGKILL',
    says: /stays there with its secrets: .*nestjs-vault-\S+ \(the next nestjs-vault exec removes it\), .*db\.env \(delete it then\)/,
    within: 6_000,
    tokens: 1,
    gone: ['db.env'],
    stay: /^nestjs-vault-|^db\.env$/,
  },
];

/** Without those that this machine cannot do. */
export const WAYS = ALL.filter(
  ({ container, terminal }) => (!container || process.getuid?.() === 0) && (!terminal || onTerminal),
);

/** Checks the files that the command got. */
function FILES(then) {
  return `{
    const { readFileSync, statSync } = require('node:fs');
    const { dirname } = require('node:path');
    const mode = (path) => (statSync(path).mode & 0o777).toString(8);
    const { KEY_FILE, DB_PASSWORD } = process.env;
    const lines = readFileSync('db.env', 'utf8');
    const ok = readFileSync(KEY_FILE, 'utf8') === 'canary-key' && mode(KEY_FILE) === '600' && mode(dirname(KEY_FILE)) === '700' &&
      mode('db.env') === '600' && /^DB_USERNAME=.+\\nDB_PASSWORD=.+\\n$/.test(lines) && DB_PASSWORD === undefined;
    if (!ok) process.exit(8);
    ${then}
  }`;
}

/**
 * Runs one way. `world`: `open(way)` resolves with `env` (login and address), `proxy`, `revoke()`, `left()` (leases and
 * tokens at the server) and `secrets`.
 *
 * @returns the problems found, and the milliseconds that the wrapper took
 */
export async function runWay(way, world, { bin, folder }) {
  const { env, mount, proxy, server, revoke, left, secrets } = await world.open(way);
  const cwd = join(folder, way.name.replaceAll(/\W+/g, '-'));
  mkdirSync(cwd, { recursive: true });
  writeFileSync(join(cwd, 'data.txt'), 'no program');
  const report = join(cwd, 'report.json');
  await way.before?.({ proxy, server });
  const role = way.role === undefined ? 'orders' : way.role;
  const flags = [
    ...(role ? ['--database', role] : []),
    ...(mount ? ['--mount', mount] : []),
    ...(way.flags ?? []),
  ];
  const command = way.command ?? [
    process.execPath,
    '-e',
    `${way.handlers ?? ''}${REPORT}${way.script ?? ''}`,
  ];
  const began = performance.now();
  const [program, ...before] = [
    ...(way.container ? ['unshare', '--pid', '--fork'] : []),
    ...(way.terminal ? onTerminal : []),
    process.execPath,
  ];
  const pipe = way.unread ? unreadPipe(cwd) : undefined;
  const wrapper = spawn(program, [...before, bin, 'exec', ...flags, '--', ...command], {
    cwd,
    env: {
      PATH: process.env.PATH,
      REPORT: report,
      XDG_RUNTIME_DIR: cwd,
      VAULT_HEADERS: '{"x-way":"exec"}',
      CANARY_SECRET: env.VAULT_SECRET_ID,
      ...env,
      ...way.env,
    },
    detached: true,
    stdio: ['pipe', 'pipe', pipe?.end ?? 'pipe'],
  });
  let output = '';
  for (const stream of [wrapper.stdout, wrapper.stderr]) stream?.on('data', (chunk) => (output += chunk));
  wrapper.stdin.on('error', () => {});
  const ended = new Promise((resolve) => wrapper.once('exit', (code, signal) => resolve({ code, signal })));
  const child = () => childOf(wrapper.pid);
  const press = (key) => wrapper.stdin.write(KEYS[key]);
  const signal = (name) => process.kill(wrapper.pid, name);
  let running = way.starts !== false;
  while (running && !isWhole(report) && wrapper.exitCode === null && wrapper.signalCode === null)
    await sleep(20);
  const seen =
    wrapper.exitCode === null &&
    (await way.act?.({ wrapper, signal, child, press, pipe, proxy, server, revoke, left }));
  const end = await ended;
  const took = Math.round(performance.now() - began);
  await proxy.restore();
  if (pipe) output += pipe.close();

  const problems = Array.isArray(seen) ? seen.filter(Boolean) : [];
  const expected = { code: way.code ?? null, signal: way.signal ?? null };
  if (end.code !== expected.code || end.signal !== expected.signal)
    problems.push(`ended with ${end.code ?? end.signal}, not ${expected.code ?? expected.signal}`);
  if (way.says && !way.says.test(output)) problems.push('does not say so');
  const deadline = performance.now() + (way.within ?? 1_500);
  let rest = await left();
  while ((rest.leases > 0 || rest.tokens > (way.tokens ?? 0)) && performance.now() < deadline) {
    await sleep(100);
    rest = await left();
  }
  if (rest.leases > 0) problems.push(`${rest.leases} leases left`);
  if (rest.tokens > (way.tokens ?? 0)) problems.push(`${rest.tokens} tokens left`);
  if (running && !isWhole(report)) problems.push('the command did not run');
  else if (running) {
    const got = JSON.parse(readFileSync(report, 'utf8'));
    const login = Object.keys(got).filter((name) =>
      /^(VAULT|BAO)_(TOKEN|ROLE_ID|SECRET_ID|HEADERS)/.test(name),
    );
    if (login.length > 0) problems.push(`the command got ${login.join(', ')}`);
    if (got.DB_PASSWORD) secrets.push(got.DB_PASSWORD);
    if (!way.gone && role && !got.DB_USERNAME) problems.push('the command got no user');
  }
  if (secrets.some((secret) => output.includes(secret))) problems.push('a secret is printed');
  const files = readdirSync(cwd).filter(
    (name) => !['report.json', 'data.txt'].includes(name) && !way.stay?.test(name),
  );
  if (files.length > 0) problems.push(`files left: ${files.join(', ')}`);
  return { problems, took, output };
}

/** Waits for 20 s at most. */
async function until(holds) {
  const end = performance.now() + 20_000;
  while (!(await holds()) && performance.now() < end) await sleep(50);
  return holds();
}

const nothingLeft = (left) =>
  until(async () => {
    const { leases, tokens } = await left();
    return leases + tokens === 0;
  });

const isWhole = (path) => existsSync(path) && readFileSync(path, 'utf8').endsWith('}');

/** The first child of a process, on Linux. */
function childOf(pid) {
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  // Process 0 would be the group of this test.
  if (!child) throw new Error(`process ${pid} has no child`);
  return Number(child);
}
