// `systemctl restart orders@1` and `systemctl stop orders@1` without systemd: it reads the unit, and does what systemd does
// with the lines that sample 17 has, below the folder in UNIT_ROOT in place of /. It does not watch the process (Restart=).
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const [verb, name] = process.argv.slice(2);
const [template, instance] = name.split('@');
const root = process.env.UNIT_ROOT;
const below = (text) => text.replaceAll(/(?<=^|[=: ])\//gm, `${root}/`);
const unit = new Map();
const file = below(`/etc/systemd/system/${template}@.service`);
for (const [, key, value] of readFileSync(file, 'utf8').matchAll(/^(\w+)=(.*)$/gm))
  unit.set(key, [...(unit.get(key) ?? []), below(value.replaceAll('%i', instance))]);
const [runtime] = unit.get('RuntimeDirectory').map((path) => below(`/run/${path}`));
const credentials = below(`/run/credentials/${name}`);
const pidFile = below(`/run/${name}.pid`);

await stop();
if (verb === 'restart') start();

async function stop() {
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, 'utf8'));
  process.kill(pid, 'SIGTERM');
  const end = performance.now() + Number(unit.get('TimeoutStopSec')[0]) * 1_000;
  while (runs(pid)) {
    if (performance.now() > end) process.kill(pid, 'SIGKILL');
    await sleep(10);
  }
  for (const path of [pidFile, runtime, credentials]) rmSync(path, { recursive: true });
}

function start() {
  mkdirSync(runtime, { recursive: true, mode: Number.parseInt(unit.get('RuntimeDirectoryMode')[0], 8) });
  mkdirSync(credentials, { recursive: true, mode: 0o700 });
  for (const line of unit.get('LoadCredential')) {
    const [id, path] = line.split(':');
    copyFileSync(path, join(credentials, id));
  }
  const lines = [
    ...unit.get('EnvironmentFile').flatMap((path) => readFileSync(path, 'utf8').split('\n')),
    ...unit.get('Environment'),
  ];
  const variables = lines.filter(Boolean).map((line) => line.split(/=(.*)/s).slice(0, 2));
  const env = {
    PATH: process.env.PATH,
    CREDENTIALS_DIRECTORY: credentials,
    ...Object.fromEntries(variables),
  };
  const log = openSync(below(`/run/${name}.log`), 'a');
  const stdio = ['ignore', log, log];
  for (const line of unit.get('ExecStartPre')) {
    const { status } = spawnSync(line, { env, stdio });
    if (status !== 0) throw new Error(`${basename(line)} of ${name} failed (${status}).`);
  }
  const [program, ...args] = unit.get('ExecStart')[0].split(' ');
  const child = spawn(program, args, { env, stdio, detached: true, cwd: dirname(pidFile) });
  writeFileSync(pidFile, String(child.pid));
  child.unref();
}

/** A process that has ended may stay as a zombie until its parent asks for it. */
function runs(pid) {
  try {
    return !/\) Z [^)]*$/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
