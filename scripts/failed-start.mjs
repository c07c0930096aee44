// npm run test:failed-start [-- --short]: starts that fail and processes that end without `close()`, on a real OpenBao
// and a real PostgreSQL: prints the users and tokens that are left at the server, the milliseconds from the failure to
// the end, and the exit code. Each case runs on the packed package, in both formats, on the oldest Nest, the last 11
// and the one of development; --short: on the last only, and each kind of failure once.
import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { bundle } from '../test/failed-start/bundle.mjs';
import { FAILED_STARTS, OTHER_ENDS } from '../test/failed-start/cases.mjs';
import {
  provision,
  startOpenBao,
  startPostgres,
  startTcpProxy,
  usersInDatabase,
} from '../test/support/servers.mjs';
import { project } from '../test/installs/project.mjs';
import { ensureBuilt, ensureInstalled, runNpm } from './ensure-installed.mjs';

const AT_A_TIME = 3;
/** Limit from the failure to the end of the process, in milliseconds: `shutdown.exitTimeout`, and a reserve. */
const LIMIT = 3_000 + 1_500;
const root = fileURLToPath(new URL('..', import.meta.url));
const short = process.argv.includes('--short');
const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const DEVELOPMENT = devDependencies['@nestjs/core'];
const versions = short ? [DEVELOPMENT] : ['11.0.0', '11.2.0', DEVELOPMENT];

await ensureInstalled();
await ensureBuilt();
const scratch = join(root, '.cache', 'failed-start');
const [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
const role = await provision(bao, postgres, { roles: [{ name: 'orders', defaultTtl: '10m', maxTtl: '1h' }] });
await bao.api('POST', 'secret/data/app', { data: { host: '127.0.0.1' } });
const proxy = await startTcpProxy(bao.port);
const hanging = createServer(() => undefined).listen(0, '127.0.0.1');
await once(hanging, 'listening');
let failed = 0;
let ran = 0;
try {
  for (const version of versions) await onNest(version);
} finally {
  hanging.close();
  await proxy.close();
  await Promise.all([bao.stop(), postgres.stop()]);
}
console.log(`failed-start: ${ran - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;

async function onNest(version) {
  const folder = join(scratch, version);
  if (await install(folder, version)) throw new Error(`Nest ${version} could not be installed in ${folder}.`);
  const cases = [...FAILED_STARTS, ...OTHER_ENDS].filter(({ long }) => !short || !long);
  const waiting = ['cjs', 'esm'].flatMap((format, index) =>
    cases
      // Alternates between the formats.
      .filter((_, position) => !short || position % 2 === index)
      .map((one) => ({ ...one, format })),
  );
  if (version === DEVELOPMENT)
    waiting.unshift({
      name: 'provider, bundled into one file',
      file: await bundle(join(root, 'test/failed-start/bundled.cjs'), folder),
      code: 1,
      format: 'cjs',
    });
  console.log(`\n── Nest ${version}: users left, tokens left, milliseconds, exit code`);
  const work = async () => {
    for (let one = waiting.shift(); one; one = waiting.shift()) await check(folder, one);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  if (!failed) rmSync(folder, { recursive: true, force: true });
}

/** Creates a folder like that of a user. */
async function install(folder, version) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const packed = spawnSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  const [{ filename }] = Object.values(JSON.parse(packed.stdout));
  const nest = ['common', 'core', 'platform-express'].map((name) => [`@nestjs/${name}`, version]);
  // Its versions are those of Nest 11, but not of 12.
  nest.push(['@nestjs/microservices', version.startsWith('11.') ? version : `^${version.split('.')[0]}.0.0`]);
  const shared = ['rxjs', 'reflect-metadata'].map((name) => [name, devDependencies[name]]);
  const dependencies = Object.fromEntries([...nest, ...shared, ['nestjs-vault', `file:${filename}`]]);
  project(folder, { type: 'commonjs', dependencies });
  copyFileSync(join(root, 'test/failed-start/application.mjs'), join(folder, 'application.mjs'));
  return runNpm(['install', '--ignore-scripts'], { cwd: folder });
}

async function check(folder, { name, file, run, code, left = false, token, flags = [], format }) {
  const given = token && (await givenToken());
  const child = fork(file ?? join(folder, 'application.mjs'), {
    cwd: folder,
    execArgv: flags,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: {
      PATH: process.env.PATH,
      CASE: JSON.stringify({ ...run, format }),
      ADDRESS: left ? `http://${proxy.address}` : bao.address,
      HANGING: `http://127.0.0.1:${hanging.address().port}`,
      ROLE_ID: role.roleId,
      SECRET_ID: role.secretId,
      ...(given && { TOKEN: given }),
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => (output += text));
  let stalled = false;
  child.on('message', () => {
    stalled = true;
    proxy.blackhole();
    child.send('hangs');
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  let ended;
  child.once('exit', () => (ended = Date.now()));
  const [exitCode, signal] = await once(child, 'close');
  clearTimeout(timer);
  if (stalled) await proxy.restore();
  const took = ended - Number(/FAILS (\d+)/.exec(output)?.[1]);
  const held = [...output.matchAll(/HELD (\S+) (\S+)/g)].map(([, user, accessor]) => ({ user, accessor }));
  const users = await usersLeft(held);
  const tokens = await tokensLeft(held);
  const problems = [
    held.length === 0 && 'it had no user and no token',
    (signal ?? exitCode) !== code && `the exit code must be ${code}`,
    stalled && !(took > 2_800) && 'it must wait for the server',
    !(took < LIMIT) && `it must end within ${LIMIT} ms`,
    users.length !== (left ? held.length : 0) && 'users',
    tokens.length !== (left || given ? held.length : 0) && 'tokens',
    /\b(?:hvs|s)\.\w{20}/.test(output) && 'a token is printed',
    output.includes(role.secretId) && 'the secret_id is printed',
  ].filter(Boolean);
  ran++;
  if (problems.length > 0) failed++;
  const figures = `${users.length} ${tokens.length} ${String(took).padStart(5)} ms ${signal ?? exitCode}`;
  console.log(`${problems.length > 0 ? 'FAIL' : '  ok'}  ${figures}  ${format} ${name}`);
  if (problems.length > 0) console.log(`      ${problems.join('; ')}\n${output.replace(/^/gm, '      | ')}`);
}

/** The server removes a user some moments after its answer. */
async function usersLeft(held) {
  const until = Date.now() + 3_000;
  for (;;) {
    const users = await usersInDatabase(postgres);
    const left = held.filter(({ user }) => users.includes(user));
    if (left.length === 0 || Date.now() > until) return left;
    await sleep(50);
  }
}

async function tokensLeft(held) {
  const statuses = await Promise.all(
    held.map(({ accessor }) => bao.api('POST', 'auth/token/lookup-accessor', { accessor })),
  );
  return held.filter((_, index) => statuses[index].status === 200);
}

async function givenToken() {
  const { body } = await bao.api('POST', 'auth/token/create', { policies: ['app'], ttl: '10m' });
  return body.auth.client_token;
}
