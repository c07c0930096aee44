import { readFile } from 'node:fs/promises';
import { auditedRequests, differences, type CountedSeries } from '../support/audit-log.js';

/** The counters and the numbers of records of histograms, from a text for Prometheus. */
export function countedSeries(text: string): CountedSeries[] {
  return [...text.matchAll(/^(nestjs_vault_\w+?)(?:_seconds)?_(?:total|count)\{(.*)\} (\d+)$/gm)].map(
    ([, name = '', labels = '', value]) => ({
      name,
      attributes: Object.fromEntries(
        [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, one]) => [key, one]),
      ),
      value: Number(value),
    }),
  );
}

/** The metrics of several applications, and the audit log of their server. */
export interface Totals {
  series: CountedSeries[];
  audited: ReturnType<typeof auditedRequests>;
}

/** Both, at a moment at which no request is on its way. */
export async function totals(instances: readonly string[], auditFile: string): Promise<Totals> {
  const metrics = async () => (await Promise.all(instances.map(metricsOf))).flatMap(countedSeries);
  for (;;) {
    const series = await metrics();
    const log = await readFile(auditFile, 'utf8');
    if (JSON.stringify(await metrics()) === JSON.stringify(series))
      return { series, audited: auditedRequests(log) };
  }
}

async function metricsOf(instance: string): Promise<string> {
  return (await fetch(`http://${instance}/metrics`)).text();
}

/** One line for each kind whose numbers differ. */
export function notEqual({ series, audited }: Totals): string[] {
  return differences(series, audited).map(
    ({ kind, audited: log, least, most }) =>
      `${kind}: ${log} in the audit log, ${least === most ? least : `${least} to ${most}`} in the metrics`,
  );
}

/** The numbers of the audit log, for the report. */
export function summary({ audited }: Totals): string {
  const counts = new Map<string, number>();
  for (const { operation } of audited) counts.set(operation, (counts.get(operation) ?? 0) + 1);
  const leased = audited.filter((one) => one.leased).length;
  return [...counts, ['leases issued', leased] as const]
    .map(([kind, count]) => `${kind} ${count}`)
    .join(', ');
}
