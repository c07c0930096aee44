// npm run bench:telemetry: the CPU of an application, of KV reads and of renewals with metrics and traces on and off. Each
// mode has a process of its own, and they work in turns, so that other load of the machine affects all alike.
//   --sets N          of new processes (default 3)
//   --beside FOLDER   also another clone of this repository, which is built: the package before a change
import { loadavg } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureBuilt, ensureInstalled } from '../../scripts/ensure-installed.mjs';
import { median, table } from '../report.mjs';

await ensureInstalled();
await ensureBuilt();
const { startOpenBao } = await import('../../test/support/servers.mjs');
const { compareApplications } = await import('./applications.mjs');
const { Child } = await import('./child.mjs');

const { values } = parseArgs({
  options: { sets: { type: 'string', default: '3' }, beside: { type: 'string' } },
});
const sets = Number(values.sets);
const [TURNS, BLOCK, WARM_UP] = [24, 500, 3_000];
const program = fileURLToPath(new URL('requests.mjs', import.meta.url));
const here = fileURLToPath(new URL('../..', import.meta.url));
const KINDS = { reads: 'KV reads', renewals: 'Renewals of a token' };
const ROWS = [
  { name: 'nothing', mode: 'nothing' },
  { name: 'a subscriber of all channels', mode: 'subscriber' },
  { name: 'metrics', mode: 'metrics' },
  { name: 'metrics and traces', mode: 'traces' },
  { name: 'a record and a span by hand', mode: 'by hand' },
].map((row) => ({ ...row, package: here }));
if (values.beside !== undefined) {
  const other = { package: resolve(values.beside) };
  ROWS.push(...ROWS.slice(0, 4).map((row) => ({ ...row, name: `the other clone: ${row.name}`, ...other })));
}

await compareApplications();

const bao = await startOpenBao();
try {
  await bao.api('POST', 'secret/data/bench', {
    data: { apiKey: 'k'.repeat(32), url: 'https://example.test' },
  });
  const { body } = await bao.api('POST', 'auth/token/create', { ttl: '24h', policies: ['default'] });
  const tokens = { reads: bao.rootToken, renewals: body.auth.client_token };
  for (const [kind, name] of Object.entries(KINDS)) {
    const runs = ROWS.map((row) => ({ ...row, cpu: [] }));
    for (let set = 0; set < sets; set++)
      await measure(runs, { kind, address: bao.address, token: tokens[kind] });
    report(name, runs);
  }
} finally {
  await bao.stop();
}

/** One process for each row. */
async function measure(runs, options) {
  const processes = [];
  try {
    for (const { package: folder, mode } of runs) {
      const child = new Child(program, { ...options, folder, mode });
      processes.push(child);
      await child.answer();
      await child.ask(WARM_UP);
    }
    for (let turn = 0; turn < TURNS; turn++)
      // Each comes first, second, … alike.
      for (let index = 0; index < runs.length; index++) {
        const place = (index + turn) % runs.length;
        // Microseconds of CPU for each request.
        runs[place].cpu.push(await processes[place].ask(BLOCK));
      }
  } finally {
    await Promise.all(processes.map((child) => child.end()));
  }
}

function report(name, runs) {
  const rows = runs.map((run) => {
    const nothing = runs.find(({ mode, package: folder }) => mode === 'nothing' && folder === run.package);
    const ratios = run.cpu.map((cpu, turn) => cpu / nothing.cpu[turn]);
    const least = ({ cpu }) => Math.min(...cpu);
    return [
      run.name,
      median(run.cpu).toFixed(1),
      least(run).toFixed(1),
      median(ratios).toFixed(3),
      (least(run) / least(nothing)).toFixed(3),
    ];
  });
  const load = `load average ${loadavg()[0].toFixed(1)}`;
  console.log(`\n${name} (${sets} processes each, ${TURNS} turns of ${BLOCK} requests; ${load})`);
  console.log(table(['CPU µs each', 'median', 'least', 'median ratio of turns', 'ratio of the least'], rows));
}
