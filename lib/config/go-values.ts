/** Milliseconds of each unit of a duration in Go. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

/** Milliseconds of a duration as the Go clients read it: `90` (seconds), `2d`, `1m30s`; undefined for another text. */
export function goDuration(text: string): number | undefined {
  const whole = /^\+?(\d{1,12})(d?)$/.exec(text);
  if (whole) return Number(whole[1]) * (whole[2] ? 86_400_000 : 1_000);
  const unsigned = text.replace(/^\+/, '');
  const parts = [...unsigned.slice(0, 64).matchAll(PART)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== unsigned) return undefined;
  return parts.reduce((sum, [, count, unit = '']) => sum + Number(count) * (UNITS[unit] as number), 0);
}

/** A boolean as Go's `strconv.ParseBool` reads it; undefined for another text. */
export function goBoolean(text: string): boolean | undefined {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}
