// npm run bench:cold: the start of a process, beside node-vault by hand: in processes of their own, in turns.
//   --processes N     of each kind (default 20)
//   --beside FOLDER   also another clone of this repository, which is built: the package before a change
import { execFile, fork } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { ensureBuilt, ensureInstalled } from '../../scripts/ensure-installed.mjs';
import { median, table } from '../report.mjs';

await ensureInstalled();
await ensureBuilt();
const { provision, startOpenBao } = await import('../../test/support/servers.mjs');

const { values } = parseArgs({
  options: { processes: { type: 'string', default: '20' }, beside: { type: 'string' } },
});
const processes = Number(values.processes);
const here = fileURLToPath(new URL('.', import.meta.url));
const PEERS = [
  { name: 'node-vault', folder: here, client: 'node-vault' },
  { name: 'nestjs-vault', folder: here, client: 'nestjs-vault' },
];
if (values.beside !== undefined) {
  // In its folder, so that the name of the package leads to that copy.
  const folder = join(resolve(values.beside), '.cache', 'cold');
  cpSync(here, folder, { recursive: true });
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  PEERS.push({ name: 'the other clone', folder, client: 'nestjs-vault' });
}
const FORMATS = { ESM: 'start.mjs', CommonJS: 'start.cjs' };

const bao = await startOpenBao();
try {
  const { roleId, secretId } = await provision(bao);
  await bao.api('POST', 'secret/data/bench', { data: { apiKey: 'k'.repeat(32) } });
  const options = JSON.stringify({ address: bao.address, roleId, secretId });
  await compare('quiet', options);
  const load = Array.from({ length: availableParallelism() }, () => fork(join(here, 'busy.mjs')));
  try {
    await compare(`busy: ${load.length} other processes use all of a core each`, options);
  } finally {
    for (const child of load) child.kill();
  }
} finally {
  await bao.stop();
}

async function compare(name, options) {
  const runs = Object.keys(FORMATS).flatMap((format) =>
    PEERS.map((peer) => ({ format, ...peer, results: [] })),
  );
  // The first round fills the caches of the disk.
  for (let round = 0; round <= processes; round++)
    for (const run of runs) {
      const result = await start(run, options);
      if (round > 0) run.results.push(result);
    }
  const of = ({ results }, what) => median(results.map((result) => result[what]));
  const rows = runs.map((run) => {
    const byHand = runs.find(({ format, client }) => format === run.format && client === 'node-vault');
    const cells = ['imported', 'first', 'own'].flatMap((what) => [
      of(run, what).toFixed(0),
      (of(run, what) / of(byHand, what)).toFixed(2),
    ]);
    return [`${run.name}, ${run.format}`, ...cells];
  });
  const machine = `load average ${loadavg()[0].toFixed(1)}`;
  console.log(`\nCold start, ${name} (medians of ${processes} processes, in turns; ${machine})`);
  const names = ['import ms', 'first value ms', 'after Nest, without waits for a core, ms'];
  console.log(table(['', ...names.flatMap((name) => [name, 'to node-vault'])], rows));
}

async function start({ folder, format, client }, options) {
  const args = [join(folder, FORMATS[format]), client, options];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout);
}
