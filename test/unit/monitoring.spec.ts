import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MeterProvider } from '@opentelemetry/sdk-metrics';
import type { VaultInstrumentation } from 'nestjs-vault/opentelemetry';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { METRICS, VALUES } from '../../lib/telemetry/names.js';
import { DASHBOARD, dashboardExpressions, filledIn } from '../operated/dashboard.js';
import { MONITORING, RULES, scaledRules, SHIPPED } from '../operated/rules.js';
import { commandsOf } from '../operated/runbook.js';
import { pathOf, snippets, writeSnippets } from '../snippets/snippets.mjs';
import { read } from '../support/pages.mjs';
import { freePort } from '../support/servers.mjs';
import { World } from './telemetry/world.js';
import { prometheusAvailable } from '../support/prometheus.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-monitoring-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const available = prometheusAvailable();
// Not by console: vitest would add lines of its own around it.
if (!available.ok) process.stderr.write(`Skipped, of test/unit/monitoring.spec.ts: ${available.reason}\n`);
const describeTool = available.ok ? describe : describe.skip;

const promtool = (...args: string[]) =>
  execFileSync(available.ok ? available.tool : '', args, {
    cwd: join(root, MONITORING),
    encoding: 'utf8',
    stdio: 'pipe',
  });

/** Checks expressions as rules that record them. */
function checkExpressions(expressions: readonly string[]): string {
  const file = join(folder, 'expressions.yml');
  const rules = expressions.map((expr, index) => ({ record: `expression:${index}`, expr }));
  writeFileSync(file, stringify({ groups: [{ name: 'expressions', rules }] }));
  return promtool('check', 'rules', file);
}

describeTool('promtool', () => {
  it('accepts the rules and the configuration, and the rules fire and do not fire as their test says', () => {
    expect(promtool('check', 'config', 'prometheus.yml')).toContain(`${RULES.length} rules found`);
    expect(promtool('test', 'rules', 'alerts.test.yml')).toContain('SUCCESS');
  });

  it('accepts the rules with shorter times', () => {
    const file = join(folder, 'alerts.yml');
    writeFileSync(file, scaledRules(20));
    expect(promtool('check', 'rules', file)).toContain(`${RULES.length} rules found`);
  });

  it('parses every expression of the dashboard, and of the runbooks', () => {
    const all = [...dashboardExpressions().map(filledIn), ...runbookExpressions()];
    expect(all.length).toBeGreaterThan(40);
    expect(checkExpressions(all)).toContain(`${all.length} rules found`);
    expect(() => checkExpressions(['sum by (job'])).toThrow(/parse error/);
  });
});

it('shorter times change every time, and nothing else', () => {
  const scaled = parse(scaledRules(60)) as { groups: { rules: { expr: string; for?: string }[] }[] };
  const rules = scaled.groups.flatMap((group) => group.rules);
  expect(rules.map((rule) => ({ ...rule, expr: '', for: '' }))).toEqual(
    RULES.map((rule) => ({ ...rule, expr: '', for: '' })),
  );
  const texts = (all: readonly { expr: string; for?: string }[]) =>
    all.map((rule) => `${rule.for ?? ''} ${rule.expr}`).join('\n');
  const times = (text: string, unit: RegExp) => text.match(unit)?.length;
  expect(times(texts(rules), /\d+ms\b/g)).toBe(times(texts(RULES), /\d+[smhd]\b/g));
  expect(texts(rules)).toContain('< 15\n');
  expect(times(texts(RULES), /\d{3,}/g)).toBeUndefined();
  expect(parse(SHIPPED)).toMatchObject({ groups: [{ rules: RULES }] });
});

const runbook = read(`${MONITORING}/runbooks.md`);

it.each(RULES)('$alert has its texts, a runbook with commands, and a test', (rule) => {
  const { alert, labels, annotations } = rule;
  expect(['critical', 'warning', 'info']).toContain(labels.severity);
  expect(Object.keys(annotations)).toEqual(['summary', 'description', 'threshold', 'runbook_url']);
  expect(annotations.runbook_url).toBe(`runbooks.md#${alert.toLowerCase()}`);
  const [, section = ''] =
    new RegExp(`^## ${alert}$([\\s\\S]*?)(?=^## |$(?![\\s\\S]))`, 'm').exec(runbook) ?? [];
  for (const part of ['Means', 'Users', 'Urgent', 'Mend', 'Mended', 'Drill'])
    expect(section, part).toContain(`**${part}`);
  expect(commandsOf(alert, 'look')).not.toEqual([]);
  const tested = read(`${MONITORING}/alerts.test.yml`);
  expect(tested).toContain(`name: ${alert}`);
  expect(read(`${MONITORING}/README.md`)).toMatch(
    new RegExp(`\\[${alert}\\]\\(\\S+\\) +\\| ${labels.severity} `),
  );
});

/** The names of Prometheus for each metric: without a unit from the exporter, with it from the Collector. */
const NAMES = new Map(
  Object.values(METRICS).flatMap(({ name, kind, unit, attributes }) => {
    const plain = name.replaceAll('.', '_');
    const labels = attributes.map((attribute) => attribute.replaceAll('.', '_'));
    const ends =
      kind === 'counter' ? ['_total'] : kind === 'histogram' ? ['_count', '_bucket', '_sum'] : [''];
    const units = unit === 's' ? ['', '_seconds'] : [''];
    return ends.flatMap((end) => units.map((one) => [`${plain}${one}${end}`, labels] as const));
  }),
);
const OF_PROMETHEUS = ['job', 'instance', 'le', '__name__', 'alertname', 'alertstate'];
const CODES = new Set(read('docs/errors.md').match(/\bVAULT_[A-Z_]+/g));
const VALUES_OF: Readonly<Record<string, readonly string[]>> = {
  reason: [...VALUES.loginReason, ...VALUES.rotationReason],
  state: [...VALUES.leaseState, ...VALUES.secretState, ...VALUES.health],
  type: VALUES.poolEvent,
  error_type: [...CODES, ''],
};

const runbookExpressions = () =>
  [...runbook.matchAll(/promtool query instant \$PROM '([^']+)'/g)].map(([, one = '']) => one);

const ALL = [
  ...RULES.map(({ alert, expr }) => ({ of: alert, expr })),
  ...dashboardExpressions().map((expr) => ({ of: 'dashboard', expr })),
  ...runbookExpressions().map((expr) => ({ of: 'runbooks', expr })),
];

/** The names that a text of a selector stands for: `a_(b|c)(_seconds)?_count`. */
function variants(text: string): string[] {
  const found = /\(([^()]*)\)(\?)?/.exec(text);
  if (!found) return [text];
  const parts = [...(found[1] ?? '').split('|'), ...(found[2] ? [''] : [])];
  return parts.flatMap((part) => variants(text.replace(found[0], () => part)));
}

it.each(ALL)('metrics, labels and values are those that there are: $of: $expr', ({ expr }) => {
  const names = [...expr.matchAll(/nestjs_vault_(?:[a-z_]|\([a-z_|]+\)\??)+/g)].flatMap(([name]) =>
    variants(name),
  );
  expect(names.length).toBeGreaterThan(expr.startsWith('ALERTS') || expr === 'up' ? -1 : 0);
  expect(names.filter((name) => !NAMES.has(name))).toEqual([]);
  const known = new Set([...OF_PROMETHEUS, ...names.flatMap((name) => NAMES.get(name) ?? [])]);
  const grouped = [...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(/, */),
  );
  const matchers = [...expr.matchAll(/\b(\w+) *(?:=~|!~|!=|=) *"([^"]*)"/g)].map(
    ([, label = '', value = '']) => ({ label, value }),
  );
  const labels = [...grouped, ...matchers.map(({ label }) => label)];
  expect(labels.filter((label) => !known.has(label))).toEqual([]);
  for (const { label, value } of matchers)
    if (VALUES_OF[label])
      expect(value.split('|').filter((one) => !VALUES_OF[label]?.includes(one))).toEqual([]);
});

it('the program of the page serves these names and labels', async () => {
  const program = snippets().find(
    ({ page, file }) => page === `${MONITORING}/README.md` && file === 'src/metrics.ts',
  );
  if (!program) throw new Error('The page has no program.');
  writeSnippets();
  const port = await freePort();
  vi.stubEnv('OTEL_EXPORTER_PROMETHEUS_HOST', '127.0.0.1');
  vi.stubEnv('OTEL_EXPORTER_PROMETHEUS_PORT', String(port));
  const { instrumentation, meterProvider } = (await import(join(root, pathOf(program)))) as {
    instrumentation: VaultInstrumentation;
    meterProvider: MeterProvider;
  };
  vi.unstubAllEnvs();
  const world = new World();
  try {
    await world.clock.until(world.connect().leases.get('database/creds/app'));
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const series = [...text.matchAll(/^(nestjs_vault_\w+)\{(.*)\} /gm)].map(([, name = '', labels = '']) => ({
      name,
      labels: [...labels.matchAll(/(\w+)="/g)].map(([, label = '']) => label),
    }));
    expect(series.map(({ name }) => name)).toContain('nestjs_vault_health');
    const strange = series.filter(({ name, labels }) =>
      labels.some(
        (label) => ![...(NAMES.get(name) ?? []), 'le'].includes(label) && !label.startsWith('otel_scope'),
      ),
    );
    expect(strange).toEqual([]);
  } finally {
    await world.end();
    instrumentation.disable();
    await meterProvider.shutdown();
  }
});

it('the dashboard is one of Grafana 10, and names no data source of its own', () => {
  expect(DASHBOARD.schemaVersion).toBeGreaterThanOrEqual(38);
  const uids = new Set(JSON.stringify(DASHBOARD).match(/"uid":"[^"]*"/g));
  expect([...uids]).toEqual(['"uid":"nestjs-vault"', '"uid":"${datasource}"']);
  const { panels } = DASHBOARD;
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)} ${y + Math.floor(cell / w)}`),
  );
  expect(new Set(cells).size, 'panels overlap').toBe(cells.length);
});
