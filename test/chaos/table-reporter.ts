import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';
import { listed, table } from '../soak/summary.js';
import type { Row } from './rows.js';

const HEAD = [
  'fault',
  'setting',
  'sent',
  'failed',
  'recovered',
  'status up',
  'reasons of the status',
  'replaced',
  'requests to Vault (failed)',
  'errors',
];

/** Prints the table of all cases, and writes it as JSON to the path in `CHAOS_JSON`. */
export default class ChaosReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const rows = tests.flatMap((test) => test.meta().chaos ?? []);
    if (rows.length === 0) return;
    console.log(`\n${table(HEAD, rows.map(cells))}\n`);
    const file = process.env['CHAOS_JSON'];
    if (file) writeFileSync(file, `${JSON.stringify(rows, undefined, 2)}\n`);
  }
}

function cells(row: Row): (string | number)[] {
  const { fault, setting, sent, failed, codes, recovered, statusUp, said, replaced, requests, lasted, note } =
    row;
  return [
    note ? `${fault}: ${note}` : fault,
    setting,
    sent,
    failed,
    failed ? `${(recovered / 1_000).toFixed(1)} s` : '–',
    `${(statusUp / 1_000).toFixed(1)} s`,
    said.join(', ') || '–',
    replaced.join(', ') || '–',
    `${requests.total} (${requests.failed}) in ${(lasted / 1_000).toFixed(0)} s`,
    listed(codes),
  ];
}
