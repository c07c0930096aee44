import { read } from '../support/pages.mjs';
import { MONITORING } from './rules.js';

interface Panel {
  id: number;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string }[];
}

/** The dashboard, as far as tests read it. */
export const DASHBOARD = JSON.parse(read(`${MONITORING}/dashboard.json`)) as {
  schemaVersion: number;
  panels: Panel[];
  templating: { list: { query: string | { query: string } }[] };
  annotations: { list: { expr: string }[] };
};

/** All expressions of panels, variables and annotations. */
export function dashboardExpressions(): string[] {
  const { panels, templating, annotations } = DASHBOARD;
  const variables = templating.list.flatMap(({ query }) =>
    typeof query === 'string' ? [] : [/^label_values\((.*), \w+\)$/.exec(query.query)?.[1] ?? query.query],
  );
  return [
    ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ...variables,
    ...annotations.list.map(({ expr }) => expr),
  ];
}

/** An expression as Grafana sends it, for all jobs, processes and connections. */
export const filledIn = (expr: string): string =>
  expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(?:job|instance|connection)\b/g, '.*');
