import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';
import { ELSEWHERE, PENDING } from './rules/index.js';

interface Row {
  id: string;
  title: string;
  kind: 'tried' | 'elsewhere' | 'pending';
  results: Record<string, string>;
  note?: string;
}

/** Leaves what every rule did on every server where `npm run conformance` makes a table of it. */
export default class TableReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const file = process.env['CONFORMANCE_TABLE'];
    if (!file) return;
    const rows = new Map<string, Row>();
    const worlds: string[] = [];
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        if (test.parent.type !== 'suite') continue;
        const world = test.parent.name;
        if (!worlds.includes(world)) worlds.push(world);
        const [, id = '', title = ''] = /^(\w+) (.*)$/.exec(test.name) ?? [];
        const row = rows.get(test.name) ?? { id, title, kind: 'tried' as const, results: {} };
        row.results[world] = test.result().state;
        rows.set(test.name, row);
      }
    }
    for (const [kind, notes] of [
      ['elsewhere', ELSEWHERE],
      ['pending', PENDING],
    ] as const) {
      for (const [id, text] of Object.entries(notes)) {
        if ([...rows.values()].some((row) => row.id === id)) continue;
        const note = kind === 'elsewhere' ? `Shown by ${text}.` : `**Pending**: ${text}.`;
        rows.set(`${kind} ${id}`, { id, title: '', kind, results: {}, note });
      }
    }
    const order = ({ id }: Row) => id.charCodeAt(0) * 100 + Number(id.slice(1));
    const rules = [...rows.values()].toSorted((a, b) => order(a) - order(b));
    writeFileSync(file, JSON.stringify({ worlds, rules }));
  }
}
