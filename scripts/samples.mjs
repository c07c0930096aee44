// npm run test:samples: builds every sample, and runs each for some seconds on servers of its own, three at a time:
// one compiles while the others mostly wait for their TTLs.
// Prints one line for each; fails if a sample does not build, if its work fails, or if it has no rotation or leaves a
// user.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { backendOf, NAMES } from './backends/index.mjs';
import { ensureBuilt, ensureInstalled, ensureSample } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

const AT_A_TIME = 3;
/** The number of lines to print of a failed sample. */
const LINES = 30;
const START = fileURLToPath(new URL('start.mjs', import.meta.url));
const ARGUMENTS = ['--for', '12', '--ttl', '3', '--port', '0'];
const children = new Set();
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop(signal));

await ensureInstalled();
await ensureBuilt();
const noOpenBao = await ensureOpenBao().then(
  () => undefined,
  (error) => error.message.replaceAll('\n', ' '),
);
const waiting = [...NAMES];
await Promise.all(Array.from({ length: AT_A_TIME }, work));

async function builds(name) {
  try {
    await ensureSample(join('sample', name));
    return true;
  } catch (error) {
    fail(name, error.message);
    return false;
  }
}

async function work() {
  for (let name = waiting.shift(); name; name = waiting.shift()) {
    if (!(await builds(name))) continue;
    const why = await whyNot(name);
    if (why) print('skipped', name, why);
    else await check(name);
  }
}

/**
 * The reason why a sample cannot run here, if any. CI requires an OpenBao: there the sample runs without one, and
 * fails.
 */
async function whyNot(name) {
  const { available, simulate } = await backendOf(name);
  const here = available();
  if (!here.ok) return here.reason;
  return simulate || process.env.CI === 'true' ? undefined : noOpenBao;
}

async function check(name) {
  const { code, output } = await run(name);
  const [, good, failed] = [...output.matchAll(/(\d+) good, (\d+) failed/g)].at(-1) ?? [];
  const [, left, users] = /users left\s+(\d+) of (\d+)/.exec(output) ?? [];
  const text = `${good} good, ${failed} failed; ${users} users, ${left} left`;
  if (code === 0 && Number(good) > 0 && Number(users) > 1) print('ok', name, text);
  else fail(name, `exit ${code}; ${text}\n${output.split('\n').slice(-LINES).join('\n')}`);
}

function run(name) {
  const { VAULT_ADDR: _, ...env } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [START, '--sample', name, ...ARGUMENTS], { env });
    children.add(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.once('error', reject);
    child.once('close', (code) => {
      children.delete(child);
      resolve({ code, output });
    });
  });
}

/** Starts no more samples, and lets running ones end. */
function stop(signal) {
  waiting.length = 0;
  for (const child of children) child.kill(signal);
}

function fail(name, text) {
  print('FAILED', name, text);
  process.exitCode = 1;
}

function print(what, name, text) {
  console.log(`${what.padEnd(8)}${name.padEnd(22)}${text}`);
}
