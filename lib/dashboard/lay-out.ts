import { distinctNames } from './distinct-names.js';
import { paint, type Tone } from './format.js';
import type { Row } from './rows.js';
import { cut, pad, widthOf } from './text-width.js';

/** From this width on, the reason stands at the end of a line; below, in a line of its own. */
const WIDE = 100;
/** Below this width, columns are as narrow as their texts. */
const USUAL = 59;
const KIND = 6;
const SHORTEST_NAME = 12;
const SHORTEST_BAR = 6;
const LONGEST_BAR = 24;
const SHORTEST_WHY = 24;
const LONGEST_WHY = 46;

interface Widths {
  name: number;
  /** 0: no bar. */
  bar: number;
  time: number;
  next: number;
  /** 0: in a line of its own. */
  why: number;
}

/** Rows as lines with common columns, none wider than `width`. */
export function layOut(rows: readonly Row[], { width, color }: { width: number; color: boolean }): string[] {
  const widths = widthsOf(rows, width);
  const names = distinctNames(
    rows.map(({ name }) => name),
    Math.max(1, widths.name - longest(rows, ({ mark }) => mark)),
  );
  return rows.flatMap((row) =>
    linesOf({ ...row, name: names.get(row.name) ?? row.name }, widths, width, color),
  );
}

const longest = (rows: readonly Row[], text: (row: Row) => string): number =>
  Math.max(0, ...rows.map((row) => widthOf(text(row))));

function widthsOf(rows: readonly Row[], width: number): Widths {
  // Usual texts fit, so that bars keep their place while seconds pass.
  const usual = width >= USUAL;
  const time = Math.max(
    usual ? '12.3 of 60 s'.length : 0,
    longest(rows, (row) => row.time),
  );
  const next = Math.max(
    usual ? 'renew in 12.3 s'.length : 0,
    longest(rows, (row) => row.next),
  );
  const wanted = longest(rows, ({ name, mark }) => name + mark);
  const reason = Math.min(
    LONGEST_WHY,
    longest(rows, (row) => row.why),
  );
  // A reason is cut before a name is.
  const besideName = width - (1 + KIND + 1) - (2 + time) - (2 + next) - wanted - (2 + SHORTEST_BAR) - 2;
  const why = width >= WIDE - 1 ? Math.min(reason, Math.max(SHORTEST_WHY, besideName)) : 0;
  const columns = [time, next, why].filter((one) => one > 0);
  const rest = width - (1 + KIND + 1) - columns.reduce((sum, one) => sum + 2 + one, 0);
  const beside = rest - 2 - SHORTEST_BAR;
  const withBar = beside >= Math.min(wanted, SHORTEST_NAME);
  const name = Math.max(1, Math.min(wanted, withBar ? beside : rest));
  return { name, bar: withBar ? Math.min(LONGEST_BAR, rest - 2 - name) : 0, time, next, why };
}

type Part = readonly [text: string, tone: Tone];

function linesOf(row: Row, widths: Widths, width: number, color: boolean): string[] {
  const troubled = row.tone === 'warn' || row.tone === 'bad';
  const tone = troubled ? row.tone : 'quiet';
  const parts: Part[] = [
    [` ${pad(row.kind, KIND)} `, 'quiet'],
    [pad(row.name + row.mark, widths.name), 'plain'],
    [widths.bar > 0 ? `  ${bar(row.filled, widths.bar)}` : '', row.tone],
    [
      `  ${' '.repeat(Math.max(0, widths.time - widthOf(row.time)))}${row.time}`,
      troubled ? row.tone : 'plain',
    ],
    [`  ${pad(row.next, widths.next)}`, 'plain'],
    [widths.why > 0 ? `  ${cut(row.why, widths.why)}` : '', tone],
  ];
  const line = painted(parts, width, color);
  if (widths.why > 0 || row.why === '' || row.kind === '') return [line];
  return [line, paint(tone, cut(`${' '.repeat(1 + KIND + 1)}${row.why}`, width), color)];
}

/** Joins the parts up to `width` columns, without spaces at the end. */
function painted(parts: readonly Part[], width: number, color: boolean): string {
  let left = Math.min(
    width,
    widthOf(
      parts
        .map(([text]) => text)
        .join('')
        .trimEnd(),
    ),
  );
  const texts = parts.map(([text, tone]) => {
    const fits = widthOf(text) <= left ? text : left > 0 ? cutExactly(text, left) : '';
    left -= widthOf(fits);
    return paint(tone, fits, color);
  });
  return texts.join('');
}

const cutExactly = (text: string, width: number) =>
  widthOf(text.trimEnd()) <= width ? text.trimEnd() : cut(text, width);

function bar(filled: number | undefined, width: number): string {
  if (filled === undefined) return ' '.repeat(width);
  // Something is left until the end.
  const full = filled <= 0 ? 0 : Math.max(1, Math.round(filled * width));
  return '█'.repeat(full) + '░'.repeat(width - full);
}
