import { InvalidArgumentError } from 'commander';

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

/** Reads a duration of an option, as `90s`, `10m`, `1h`, into milliseconds. */
export function duration(text: string): number {
  const [, number, unit] = /^(\d+)([smh])$/.exec(text) ?? [];
  if (number === undefined || unit === undefined)
    throw new InvalidArgumentError('Give a number with its unit, as 90s, 10m or 1h.');
  return Number(number) * (UNITS[unit] as number);
}

/** Reads a duration that has a minimum, in seconds. */
export function durationFrom(least: number) {
  return (text: string): number => {
    const time = duration(text);
    if (time < least * 1_000) throw new InvalidArgumentError(`Give at least ${least}s.`);
    return time;
  };
}

/** A duration for people: `45 s`, `12 min`. */
export function inWords(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1_000);
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
