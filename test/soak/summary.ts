import type { Kind, Result } from './load.js';

/** Milliseconds. */
export interface Latency {
  count: number;
  p50: number;
  p99: number;
}

/** The time after a publication in which the pool replaces its connections. */
export const SECOND = 1_000;

/** Latency of successful short queries just after new credentials came into use, and at other times. */
export function latencies(
  results: readonly Result[],
  publications: readonly number[],
): { after: Latency; elsewhere: Latency; ratio: number } {
  const after: number[] = [];
  const elsewhere: number[] = [];
  for (const { kind, at, ended, took, code } of results) {
    if (kind !== 'query' || code !== undefined) continue;
    // Counts a query that was pending within that second, even if it began earlier.
    const near = publications.some((published) => at < published + SECOND && ended > published);
    (near ? after : elsewhere).push(took);
  }
  const [one, other] = [latency(after), latency(elsewhere)];
  return { after: one, elsewhere: other, ratio: one.p99 / other.p99 };
}

export function latency(times: number[]): Latency {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99) };
}

/** Change of y for each step of x, by least squares. */
export function slope(points: readonly { x: number; y: number }[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const x = mean(points.map((point) => point.x));
  const y = mean(points.map((point) => point.y));
  const over = points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0);
  return over / points.reduce((sum, point) => sum + (point.x - x) ** 2, 0);
}

export function countOf(results: readonly Result[], kind: Kind): number {
  return results.filter((result) => result.kind === kind).length;
}

/** Counts equal values. */
export function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** `a 3, b 1`, or a dash. */
export function listed(counts: Record<string, number>): string {
  const entries = Object.entries(counts).toSorted(([, a], [, b]) => b - a);
  return entries.map(([name, count]) => `${name} ${count}`).join(', ') || '–';
}

/** Columns as wide as their longest cell; as Markdown, so that it can be pasted into a page. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [head, head.map(() => ''), ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)));
  return cells
    .map((row, index) =>
      index === 1
        ? `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`
        : `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
    )
    .join('\n');
}
