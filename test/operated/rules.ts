import { parse, stringify } from 'yaml';
import { read } from '../support/pages.mjs';

/** The folder of the rules, the dashboard and the runbooks. */
export const MONITORING = 'docs/monitoring';

export interface Rule {
  alert: string;
  expr: string;
  for?: string;
  labels: { severity: string };
  annotations: { summary: string; description: string; threshold: string; runbook_url: string };
}

interface RuleFile {
  groups: { name: string; rules: Rule[] }[];
}

/** The rules as they are shipped. */
export const SHIPPED = read(`${MONITORING}/alerts.yml`);
const { groups } = parse(SHIPPED) as RuleFile;

export const RULES: readonly Rule[] = groups.flatMap(({ rules }) => rules);

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

function shorter(duration: string, factor: number): string {
  const [, count, unit = ''] = /^(\d+)([smhd])$/.exec(duration) ?? [];
  const milliseconds = (Number(count) * (SECONDS[unit] ?? NaN) * 1_000) / factor;
  if (!Number.isInteger(milliseconds)) throw new Error(`${duration} / ${factor} is no duration.`);
  return `${milliseconds}ms`;
}

/**
 * The rules with all times divided by a factor: `for`, the windows of expressions, and the thresholds that are written as
 * `15 * 60`. Nothing else differs, so that what fires in minutes for a user fires in seconds in a test.
 */
export function scaledRules(factor: number): string {
  return stringify({
    groups: groups.map((group) => ({
      ...group,
      rules: group.rules.map((rule) => ({
        ...rule,
        ...(rule.for !== undefined && { for: shorter(rule.for, factor) }),
        expr: rule.expr
          .replaceAll(/\[(\w+)\]/g, (_, window: string) => `[${shorter(window, factor)}]`)
          .replaceAll(/\b(\d+) \* 60\b/g, (_, minutes: string) => String((Number(minutes) * 60) / factor)),
      })),
    })),
  });
}
