// Ten thousand leases in one process: memory, timers, the event loop in real time, and the CPU of an hour. Clients and
// servers run in processes of their own, so that the measured memory and CPU are only those of the client.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { table } from './report.mjs';

const file = (name) => fileURLToPath(new URL(`scale/${name}`, import.meta.url));
const OURS = 'nestjs-vault';
const BY_HAND = 'node-vault, a timer each';
const ANSWERS = 'the answers alone';
/** In seconds; each lease is renewed once, 18 s after its issue at the earliest. */
const SHORT = { ttl: 30, seconds: 24 };

export async function scale(leases = 10_000) {
  await atRest(leases);
  await inRealTime(leases);
  await anHour(leases);
}

async function atRest(leases) {
  const ttl = 3_600;
  const memory = {};
  for (const peer of [OURS, BY_HAND, ANSWERS])
    memory[peer] = await live({ what: 'memory', peer, leases, ttl });
  const timers = { [ANSWERS]: '' };
  for (const peer of [OURS, BY_HAND]) timers[peer] = await live({ what: 'timers', peer, leases, ttl });
  const rows = Object.entries(memory).map(([peer, bytes]) => [
    peer,
    bytes.toFixed(0),
    (bytes / memory[BY_HAND]).toFixed(2),
    String(timers[peer]),
  ]);
  console.log(`\n${leases} leases at rest`);
  console.log(table(['client', 'bytes a lease', 'to node-vault', 'timers'], rows));
}

const PHASES = {
  before: '500 are held, for 5 s',
  issuing: 'the other leases are issued',
  kept: `all are renewed, in ${SHORT.seconds} s`,
  followed: 'the same, and status$ has a subscriber',
  lost: 'the token is lost, and all issued anew',
  closing: 'it closes',
};

async function inRealTime(leases) {
  const rows = [];
  for (const peer of [OURS, BY_HAND]) {
    const phases = await live({ what: 'delays', peer, leases, ...SHORT });
    for (const [phase, { took, cpu, p99, max }] of Object.entries(phases))
      rows.push([peer, PHASES[phase], took.toFixed(0), cpu.toFixed(0), p99.toFixed(1), max.toFixed(1)]);
  }
  console.log(`\n${leases} leases of ${SHORT.ttl} s in real time, in ms`);
  console.log(table(['client', 'while', 'time', 'CPU', 'loop late: p99', 'most'], rows));
}

async function anHour(leases) {
  const rows = [];
  for (const [server, stub] of [
    ['a stub', true],
    ['the simulated one', false],
  ]) {
    const { cpu, requests, pending } = await run('hour.mjs', { leases, stub });
    rows.push([server, String(requests), cpu.toFixed(0), ((1000 * cpu) / requests).toFixed(0), pending]);
  }
  console.log(`\nAn hour of ${leases} leases of an hour each, in virtual time`);
  console.log(table(['server', 'renewals', 'CPU ms', 'CPU µs each', 'timers'], rows));
}

/** Runs a server and a client of it; returns the client's measurements. */
async function live({ ttl, ...settings }) {
  const server = fork(file('server.mjs'), [String(settings.leases), String(ttl)]);
  try {
    const [hello] = await once(server, 'message');
    const { seen } = await run('client.mjs', { ...settings, server: hello }, async (order) => {
      server.send(order);
      await once(server, 'message');
    });
    return seen;
  } finally {
    const ended = once(server, 'exit');
    server.disconnect();
    await ended;
  }
}

/** Runs a file in a process of its own, which may send orders; resolves with its last message. */
async function run(name, settings, obey = async () => {}) {
  const child = fork(file(name), [JSON.stringify(settings)], { execArgv: ['--expose-gc'] });
  let last;
  child.on('message', async (message) => {
    last = message;
    if (!message.order) return;
    await obey(message.order);
    child.send('done');
  });
  // The last message comes before `disconnect`.
  const [[code]] = await Promise.all([once(child, 'exit'), once(child, 'disconnect')]);
  if (code !== 0) throw new Error(`${name} ended with ${code}`);
  return last;
}
