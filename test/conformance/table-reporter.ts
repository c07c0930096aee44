import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';
import { ELSEWHERE, PENDING } from './rules/index.js';

interface Row {
  id: string;
  title: string;
  results: Record<string, string>;
}

/** A test of another kind whose title begins with the id of a rule. */
interface Shown {
  id: string;
  title: string;
  file: string;
  state: string;
}

/** Writes the results of every rule on every server to the file that `npm run docs:conformance` reads. */
export default class TableReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const output = process.env['CONFORMANCE_TABLE'];
    if (!output) return;
    const rows = new Map<string, Row>();
    const worlds: string[] = [];
    const shown: Shown[] = [];
    for (const module of modules) {
      const file = relative(process.cwd(), module.moduleId).replaceAll('\\', '/');
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        const [, id = '', colon, title = ''] = /^([A-K]\d+)(:?) (.*)$/.exec(test.name) ?? [];
        if (id === '') continue;
        if (colon) shown.push({ id, title, file, state });
        if (colon || test.parent.type !== 'suite') continue;
        const world = test.parent.name;
        if (!worlds.includes(world)) worlds.push(world);
        const row = rows.get(test.name) ?? { id, title, results: {} };
        row.results[world] = state === 'passed' && test.meta().canned ? 'canned' : state;
        rows.set(test.name, row);
      }
    }
    const rules = [...rows.values()];
    writeFileSync(output, JSON.stringify({ worlds, rules, shown, elsewhere: ELSEWHERE, pending: PENDING }));
  }
}
