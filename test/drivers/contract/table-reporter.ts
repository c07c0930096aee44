import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';
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
        results.set(`${driver} ${test.name}`, this.#shown(test.result(), notes));
      }
    }
    drivers.sort((one, other) => one.localeCompare(other));
    const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
    const lines = [
      row(['Rule', ...drivers]),
      row(['---', ...drivers.map(() => '---')]),
      ...titles.map((title) =>
        row([title, ...drivers.map((one) => results.get(`${one} ${title}`) ?? 'not run')]),
      ),
    ];
    const footnotes = notes.map((note, index) => `${index + 1}. ${note}`);
    writeFileSync(
      output,
      `${HEAD}${lines.join('\n')}\n\nNot applicable (n/a), because:\n\n${footnotes.join('\n')}\n`,
    );
  }

  #shown(result: { state: string; note?: string | undefined }, notes: string[]): string {
    if (result.state === 'passed') return 'yes';
    if (result.state !== 'skipped') return result.state;
    if (!result.note) return 'not run';
    if (!notes.includes(result.note)) notes.push(result.note);
    return `n/a ${notes.indexOf(result.note) + 1}`;
  }
}
