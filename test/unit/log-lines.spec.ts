import { expect, it } from 'vitest';
import { filesBelow, read } from '../support/pages.mjs';

/** The texts of the sources, without the breaks of long lines, and with a gap for each inserted value. */
const sources = filesBelow('lib', /\.ts$/)
  .map(read)
  .join('\n')
  .replaceAll(/['"`] \+\s+['"`]/g, '')
  .replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '…');

/** The fixed parts of a quoted line: no names, numbers, reasons or gaps. */
const fixedParts = (line: string) =>
  line
    .split(
      /…|<\w+>|\(.*?\)|database\/creds\/orders|default_ttl|\d[\d.]*|\b(?:pg|ECONNREFUSED|[\w-]+-failed)\b|[#:;]/,
    )
    .map((part) => part.trim())
    .filter((part) => part.length > 3);

/** Quoted texts of the first two columns: the line, and in one table the level before it. */
const quoted = (section: string) =>
  [...section.matchAll(/^\| (?:`(?:log|warn|error|debug)` +\| )?`([^`]+)` +\|/gm)].map(
    ([, line]) => line ?? '',
  );

it('the log lines that a page quotes are in the sources', () => {
  const [, section = ''] = /^## Log lines$([\s\S]*?)^## Events$/m.exec(read('docs/operating.md')) ?? [];
  const lines = quoted(section);
  expect(lines.length).toBeGreaterThan(20);
  const strange = lines.flatMap((line) =>
    fixedParts(line)
      .filter((part) => !sources.includes(part))
      .map((part) => ({ line, part })),
  );
  expect(strange).toEqual([]);
});
