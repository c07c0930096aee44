// Holds one server on behalf of a parent process and outlives that parent just long enough to end the server
// and remove its folder. The end of the parent, for any reason, closes this stdin: that is the signal.
//
// argv: the folder to remove at the end ('' for none). stdin: one JSON request a line,
//   { id, do: 'run', command, args, options, stopSignal, lockFile? }   answered { id, pid } or { id, error }
//   { id, do: 'signal', signal }   to the server and its children      answered { id }
// stdout: the answers, and { event: 'output', text }, { event: 'exit', pid, code, signal }.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';

const GRACE_MS = 3000;
const windows = process.platform === 'win32';
const [ownDir] = process.argv.slice(2);

let server;
let spec;

const report = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const running = () => server?.pid !== undefined && server.exitCode === null && server.signalCode === null;

// A dead parent cannot read; the end of stdin starts the clean-up.
process.stdout.on('error', () => {});
// The parent handles Ctrl-C and a closed terminal: it may need its servers while it shuts down.
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
process.on('SIGTERM', end);

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const request = JSON.parse(line);
    if (request.do === 'run') runServer(request);
    else {
      signalServer(request.signal);
      report({ id: request.id });
    }
  })
  .on('close', end);

function runServer({ id, command, args, options, stopSignal, lockFile }) {
  spec = { stopSignal, lockFile };
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true });
  server = child;
  child.once('spawn', () => report({ id, pid: child.pid }));
  child.once('error', (error) => report({ id, error: error.message }));
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => report({ event: 'output', text }));
  }
  // 'close', not 'exit': by then all output of the server has been forwarded.
  child.once('close', (code, signal) => report({ event: 'exit', pid: child.pid, code, signal }));
}

const send = (pid, signal) => {
  try {
    process.kill(pid, signal);
  } catch {
    // The process ended meanwhile.
  }
};

// A server passes a request to end on to its children. But a postmaster that is stopped or killed leaves its backends
// running, so they get the signal too; it is stopped first, so that it starts no new ones meanwhile.
function signalServer(signal) {
  if (!running()) return;
  if (!windows && ['SIGSTOP', 'SIGCONT', 'SIGKILL'].includes(signal)) {
    if (signal === 'SIGKILL') send(server.pid, 'SIGSTOP');
    if (signal === 'SIGSTOP') send(server.pid, signal);
    for (const pid of childrenOf(server.pid)) send(pid, signal);
  }
  send(server.pid, signal);
}

// Slim container images have no ps; macOS has no /proc.
function childrenOf(parent) {
  if (process.platform !== 'linux') {
    const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
    return rows
      .map((row) => row.trim().split(/\s+/).map(Number))
      .flatMap(([pid, of]) => (of === parent ? pid : []));
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        // "pid (command) state ppid ...": the command may hold blanks and brackets.
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false;
      }
    });
}

let ending = false;
async function end() {
  if (ending) return;
  ending = true;
  if (running()) {
    const exited = once(server, 'exit');
    signalServer('SIGCONT');
    signalServer(spec.stopSignal);
    const impatient = setTimeout(() => signalServer('SIGKILL'), GRACE_MS);
    await exited;
    clearTimeout(impatient);
  }
  if (spec?.lockFile) freeSharedMemory(spec.lockFile);
  if (ownDir) rmSync(ownDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  process.exit(0);
}

// A killed postmaster leaves a System V segment behind (macOS allows 32 in all), named in its lock file.
function freeSharedMemory(lockFile) {
  try {
    const id = readFileSync(lockFile, 'utf8').split('\n')[6].trim().split(/\s+/)[1];
    execFileSync('ipcrm', ['-m', id], { stdio: 'ignore' });
  } catch {
    // A clean end has removed the file and the segment.
  }
}
