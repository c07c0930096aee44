import { writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { figuresOf, isHeld, type Figure } from './figures.js';
import { measureRates, type ServerRates } from './rates.js';
import { run } from './run.js';
import { FULL, SHORT } from './sizes.js';

const USAGE = `Usage: npm run test:capacity -- [--short] [--rates] [--write]

60 processes on a three-node OpenBao and one PostgreSQL: at rest, through a rolling restart, and through a restart of the
leader. The counts of the server and the database are compared with the formulas of docs/capacity.md. About ten minutes.

  --short   6 processes, about three minutes
  --rates   only measures how many requests a second this machine's servers answer
  --write   writes the figures into test/capacity, from which npm run docs:capacity makes the tables of the page`;

/** What the page shows of a run. */
export interface MeasuredRun {
  date: string;
  machine: string;
  load: number;
  seconds: Record<'start' | 'steady' | 'deploy', number>;
  queries: number;
  figures: Figure[];
}

export interface MeasuredRates {
  date: string;
  machine: string;
  load: number;
  rates: ServerRates[];
}

/** `npm run test:capacity`. */
export async function main(): Promise<void> {
  const { values } = parseArgs({
    args: process.argv.slice(3),
    options: {
      short: { type: 'boolean', default: false },
      rates: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const date = new Date().toISOString().slice(0, 10);
  const machine = `${cpus().length} shared cores, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  if (values.rates) {
    const measured: MeasuredRates = { date, machine, load: load(), rates: await measureRates(console.error) };
    console.table(measured.rates);
    if (values.write) write('rates.json', measured);
    return;
  }
  const size = values.short ? SHORT : FULL;
  const done = await run(size, console.error);
  const figures = figuresOf(done, size);
  console.table(figures.map((one) => ({ ...one, held: isHeld(one) })));
  if (done.log !== '') console.error(done.log);
  console.log('failed queries by code:', done.failures);
  const missed = figures.filter((one) => !isHeld(one));
  for (const { part, what, predicted, measured } of missed)
    console.log(`MISSED  ${part}, ${what}: ${measured}, by the formula ${predicted}`);
  process.exitCode = missed.length > 0 ? 1 : 0;
  const seconds = {
    start: done.startSeconds,
    steady: done.steady.seconds,
    deploy: done.deploy.seconds,
  };
  const measured: MeasuredRun = { date, machine, load: load(), seconds, queries: done.queries, figures };
  if (values.write) write('run.json', measured);
}

/** Processes that wanted a processor, on average of the last minutes. */
const load = () => Math.round((loadavg()[1] ?? 0) * 10) / 10;

function write(name: string, measured: MeasuredRun | MeasuredRates): void {
  const file = fileURLToPath(new URL(name, import.meta.url));
  writeFileSync(file, `${JSON.stringify(measured, undefined, 2)}\n`);
}
