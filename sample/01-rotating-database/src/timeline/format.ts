import { styleText } from 'node:util';

/** Colours, in a terminal only. */
export const colours = process.stdout.isTTY === true && !process.env['NO_COLOR'];

export type Tone = 'good' | 'change' | 'end' | 'bad' | 'quiet' | 'plain';

const STYLES = {
  good: 'green',
  change: 'cyan',
  end: 'magenta',
  bad: 'red',
  quiet: 'gray',
  plain: 'reset',
} as const;

export function paint(tone: Tone, text: string): string {
  return colours && tone !== 'plain' ? styleText(STYLES[tone], text, { validateStream: false }) : text;
}

/** One line of the timeline: 100 columns with a note of usual length. */
export interface Line {
  tone: Tone;
  event: string;
  who: string;
  until?: string;
  note?: string;
}

/** Width of `who`, in columns. */
export const WHO_WIDTH = 32;

export function formatLine(time: string, { tone, event, who, until = '', note = '' }: Line): string {
  const columns = [time.padStart(7), paint(tone, event.padEnd(13)), who.padEnd(WHO_WIDTH), until.padEnd(17)];
  return [...columns, paint(tone === 'bad' ? 'bad' : 'quiet', note)].join('  ').replace(/ +$/, '');
}

/** `v-approle-orders-6Ohq5y…`: the start of a user name is enough, as the column is narrow. */
export function shorten(name: string, length: number): string {
  return name.length <= length ? name : `${name.slice(0, length - 1)}…`;
}

/** `9.8 s  12:00:40`; without a date for a token or lease that does not expire. */
export function formatUntil(until: Date, now: number): string {
  const left = until.getTime() - now;
  // The library uses the latest possible Date for "never".
  if (!(left < 1e13)) return 'no expiry';
  const clock = until.toTimeString().slice(0, 8);
  return `${formatDuration(left / 1000).padStart(6)}  ${clock}`;
}

export function formatDuration(seconds: number): string {
  if (Math.abs(seconds) < 100) return `${seconds.toFixed(1)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

export function formatMilliseconds(milliseconds: number): string {
  return milliseconds < 10 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds)} ms`;
}
