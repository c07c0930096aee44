/**
 * Duration for the simulated server: a number of seconds, or a text such as `'90s'` or `'1h30m'`.
 *
 * @publicApi
 */
export type Duration = number | string;

/** Longest duration in characters. */
const LONGEST = 100;
const UNITS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds of a {@link Duration}; throws the server's error if it is invalid. */
export function seconds(value: unknown): number {
  if (value === undefined || value === null || value === '') return 0;
  if (typeof value === 'number') return value;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (/^-?\d+$/.test(text)) return Number(text);
  // On a long text of digits the pattern below takes quadratic time.
  const parts =
    text.length > LONGEST ? [] : [...text.replace(/^-/, '').matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text.replace(/^-/, ''))
    throw new Error(`time: invalid duration ${JSON.stringify(text)}`);
  const total = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (UNITS[String(unit)] ?? 0), 0);
  return text.startsWith('-') ? -total : total;
}

/** Formats seconds as Go does: `1h0m0s`. */
export function goDuration(total: number): string {
  const [h, m, s] = [Math.floor(total / 3600), Math.floor((total % 3600) / 60), total % 60];
  return h > 0 ? `${h}h${m}m${s}s` : m > 0 ? `${m}m${s}s` : `${s}s`;
}

/** Formats seconds as the warnings of the server do: `1m57s`, `768h`. */
export function formatTtl(total: number): string {
  const [h, m, s] = [Math.floor(total / 3600), Math.floor((total % 3600) / 60), Math.floor(total % 60)];
  const text = `${h ? `${h}h` : ''}${m ? `${m}m` : ''}${s ? `${s}s` : ''}`;
  return text || '0s';
}
