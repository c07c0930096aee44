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
  'probes',
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
    probes(row),
    said.join(', ') || '–',
    replaced.join(', ') || '–',
    `${requests.total} (${requests.failed}) in ${(lasted / 1_000).toFixed(0)} s`,
    listed(codes),
  ];
}

function probes({ probes: { notReady, reasons, notLive, notStarted, silent } }: Row): string {
  const seconds = (milliseconds: number) => `${(milliseconds / 1_000).toFixed(1)} s`;
  return [
    notReady ? `not ready for ${seconds(notReady)} (${reasons.join(', ')})` : 'ready',
    notLive ? `not live ${notLive} times` : 'live',
    ...(notStarted ? [`not started ${notStarted} times`] : []),
    ...(silent ? [`no answer for ${seconds(silent)}`] : []),
  ].join(', ');
}
