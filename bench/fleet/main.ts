import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { Limiter } from '../../lib/clock/limiter.js';
import { chart } from './chart.js';
import { CLIENTS } from './clients.js';
import { comparisons, isWithin } from './compare.js';
import type { Measured } from './measure.js';
import { ours } from './policies/ours.js';
import { comparisonTable, report, tables } from './report.js';

const FULL = 10_000;
const QUICK = 500;

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

export async function main(): Promise<void> {
  const { values } = parseArgs({
    args: process.argv.slice(3),
    options: { instances: { type: 'string' }, quick: { type: 'boolean' } },
  });
  const instances = Number(values.instances ?? (values.quick ? QUICK : FULL));
  if (!(Number.isInteger(instances) && instances > 0)) throw new Error('--instances must be a whole number.');

  const start = performance.now();
  const seconds = () => `${((performance.now() - start) / 1000).toFixed(0)} s`;
  console.log(`${instances} instances of each client, in virtual time.`);
  const limiter = new Limiter(availableParallelism());
  const results = await Promise.all(
    CLIENTS.map((client) =>
      limiter.run(async () => {
        const measured = await measure(client.id, instances);
        console.log(`${client.name}: done after ${seconds()}`);
        return { client, measured };
      }),
    ),
  );

  const file = path('../../docs/internals/fleet.md');
  const prettier = { ...(await resolveConfig(file)), parser: 'markdown' };
  console.log(`\n${await format(tables(results), prettier)}`);
  const mine = results.find(({ client }) => client === ours);
  const compared = mine ? comparisons(mine.measured, instances) : [];
  console.log(await format(comparisonTable(compared), prettier));
  if (!compared.every(isWithin)) {
    console.log('MISSED  a formula of docs/capacity.md differs from the simulation.');
    process.exitCode = 1;
  }
  if (instances < FULL)
    return console.log(`docs/internals/fleet.md is written with ${FULL} instances or more.`);
  writeFileSync(file, await format(report(results, instances, compared), prettier));
  writeFileSync(path('../../docs/internals/figures/fleet.svg'), chart(results, instances));
  console.log('Tables: docs/internals/fleet.md. Chart: docs/internals/figures/fleet.svg.');
}

/** The simulation makes many short-lived objects: a larger young generation halves the time. */
const FLAGS = ['--max-semi-space-size=128'];

function measure(id: string, instances: number): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const child = fork(
      path('../../test/support/run-typescript.mjs'),
      [path('measure.ts'), id, String(instances)],
      { execArgv: FLAGS },
    );
    let measured: Measured | undefined;
    child.on('message', (message) => {
      measured = message as Measured;
      child.disconnect();
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (measured) resolve(measured);
      else reject(new Error(`The fleet of ${id} ended with ${code}.`));
    });
  });
}
