import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';
import { cellOf, notesOf, tableOf } from '../../support/contract-table.js';
import { TITLES } from './titles.js';

const HEAD = `# The contract of pools

Every rotating pool keeps the same rules, whatever its driver. One suite (\`test/drivers/contract\`) holds each driver to
them, on real servers; MongoDB's driver runs on the part of the protocol that it needs. This page is the result of
\`DRIVER_TABLE=docs/internals/drivers.md npm run test:drivers -- test/drivers/contract\`.

`;

/** Writes the table of drivers and rules, if DRIVER_TABLE names a file. */
export default class TableReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const output = process.env['DRIVER_TABLE'];
    if (!output) return;
    const titles: readonly string[] = Object.values(TITLES);
    const drivers: string[] = [];
    const results = new Map<string, string>();
    const notes: string[] = [];
    for (const module of modules.filter(({ moduleId }) => moduleId.includes('/drivers/contract/'))) {
      for (const test of module.children.allTests()) {
        if (test.parent.type !== 'suite' || !titles.includes(test.name)) continue;
        const driver = test.parent.name;
        if (!drivers.includes(driver)) drivers.push(driver);
        results.set(`${driver} ${test.name}`, cellOf(test.result(), notes));
      }
    }
    drivers.sort((one, other) => one.localeCompare(other));
    const rows = titles.map((title) => [
      title,
      ...drivers.map((one) => results.get(`${one} ${title}`) ?? 'not run'),
    ]);
    writeFileSync(output, `${HEAD}${tableOf(['Rule', ...drivers], rows)}${notesOf(notes)}\n`);
  }
}
