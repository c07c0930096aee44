import { styleText } from 'node:util';

/** The meaning of a colour. */
export type Tone = 'good' | 'change' | 'end' | 'warn' | 'bad' | 'quiet' | 'plain';

const STYLES = {
  good: 'green',
  change: 'cyan',
  end: 'magenta',
  warn: 'yellow',
  bad: 'red',
  quiet: 'gray',
  plain: 'reset',
} as const;

/** Adds the colour of `tone`, if `color` is set. */
export function paint(tone: Tone, text: string, color: boolean): string {
  if (!color || tone === 'plain' || text === '') return text;
  return styleText(STYLES[tone], text, { validateStream: false });
}

const UNITS = [
  ['s', 1_000, 100],
  ['min', 60_000, 100],
  ['h', 3_600_000, 100],
  ['d', 86_400_000, Infinity],
] as const;

function inUnit(milliseconds: number): [value: number, unit: string] {
  const [unit, length] = UNITS.find(([, length, most]) => Math.abs(milliseconds) < length * most) ?? UNITS[3];
  return [milliseconds / length, unit];
}

/** `6.2 s`, `14.5 min`, `3.0 h`, `12.0 d`. */
export function duration(milliseconds: number): string {
  const [value, unit] = inUnit(milliseconds);
  return `${value.toFixed(1)} ${unit}`;
}

/** `6.2 of 10 s`; with both units where they differ: `90.0 s of 60 min`. */
export function shareOfTime(left: number, total: number): string {
  const [value, unit] = inUnit(left);
  const [whole, unitOfWhole] = inUnit(total);
  const text = String(Math.round(whole * 10) / 10);
  return `${value.toFixed(1)}${unit === unitOfWhole ? '' : ` ${unit}`} of ${text} ${unitOfWhole}`;
}

/** The time of the day, as `12:00:40`. */
export function timeOfDay(at: Date): string {
  return at.toTimeString().slice(0, 8);
}
