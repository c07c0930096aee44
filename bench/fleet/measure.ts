// One client through all scenarios, in a process of its own: run-typescript.mjs measure.ts <client> <instances>
import { CLIENTS } from './clients.js';
import { SCENARIOS, type Scenario } from './scenarios.js';
import { simulate, type Figures } from './simulate.js';

export type Measured = Record<Scenario['id'], Figures>;

export async function main(): Promise<void> {
  const [id, instances] = process.argv.slice(3);
  const client = CLIENTS.find((one) => one.id === id);
  if (!client) throw new Error(`There is no client ${id}.`);
  // The simulations need the failures, not their stack traces.
  Error.stackTraceLimit = 0;
  const measured: Partial<Measured> = {};
  for (const scenario of SCENARIOS) {
    const runs: Figures[] = [];
    for (let seed = 1; seed <= (scenario.runs ?? 1); seed++)
      runs.push(await simulate(client, scenario, { instances: Number(instances), seed }));
    runs.sort((a, b) => a.peakToMean - b.peakToMean);
    measured[scenario.id] = runs[Math.floor(runs.length / 2)]!;
  }
  process.send?.(measured);
}
