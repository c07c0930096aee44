// The tables of docs/capacity.md, from the formulas and from the figures of `npm run test:capacity -- --write`.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import type { MeasuredRates, MeasuredRun } from '../../test/capacity/main.js';
import {
  deployLoad,
  loadAfterExpiry,
  loadAfterLoss,
  loadAtReturn,
  outlives,
  ratesAtRest,
  stockOf,
  type Fleet,
} from './capacity.js';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
export const PAGE = path('../../docs/capacity.md');

const HOUR = 3_600;
const MINUTE = 60;
const REPLICAS = [10, 100, 1_000, 10_000];

interface Example {
  fleet: Omit<Fleet, 'replicas' | 'deploy'>;
  /** Seconds that the server is unreachable. */
  outage: number;
}

const COMMON = { leases: 1, pool: { max: 10, drain: 5 }, secrets: 2, watched: 1, every: 300 };
const HOURS: Example = {
  fleet: { ...COMMON, token: { ttl: HOUR, maxTtl: Infinity }, lease: { ttl: HOUR, maxTtl: 24 * HOUR } },
  outage: 10 * MINUTE,
};
const MINUTES: Example = {
  fleet: {
    ...COMMON,
    token: { ttl: 10 * MINUTE, maxTtl: Infinity },
    lease: { ttl: 10 * MINUTE, maxTtl: 4 * HOUR },
  },
  outage: 2 * MINUTE,
};

/** Three digits are enough for a plan. */
function number(value: number): string {
  if (value === 0 || value >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(value >= 10 ? 3 : 2)));
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [head, head.map((_, column) => (column ? '---:' : '---')), ...rows].map(line).join('\n');
}

function exampleTable({ fleet, outage }: Example): string {
  const fleets = REPLICAS.map((replicas) => {
    // A quarter more processes at a time, as Kubernetes does by default.
    return { ...fleet, replicas, deploy: { duration: 10 * MINUTE, surge: Math.ceil(replicas / 4) } };
  });
  const row = (name: string, of: (one: Fleet) => number) => [name, ...fleets.map((one) => number(of(one)))];
  const minutes = outage / MINUTE;
  return table(
    ['Replicas', ...REPLICAS.map(number)],
    [
      row('**At rest**: logins a minute', (one) => ratesAtRest(one).logins),
      row('renewals a minute, of tokens and leases', (one) => {
        const { tokenRenewals, leaseRenewals } = ratesAtRest(one);
        return tokenRenewals + leaseRenewals;
      }),
      row('issues a minute, and as many ended users', (one) => ratesAtRest(one).issues),
      row('KV reads a minute', (one) => ratesAtRest(one).watches),
      row('all requests a second', (one) => ratesAtRest(one).total / MINUTE),
      row('database users', (one) => stockOf(one).users.atRest),
      row('tokens and leases that the server stores', (one) => stockOf(one).stored),
      row('connections to the database', (one) => stockOf(one).connections.atRest),
      row('connections if all rotate at once', (one) => stockOf(one).connections.atRotation),
      row('**Deploy in 10 minutes**: logins a minute', (one) => deployLoad(one).logins),
      row('issues a minute, and as many ended users', (one) => deployLoad(one).issues),
      row('KV reads a minute', (one) => deployLoad(one).reads),
      row('connections, with a quarter more processes', (one) => stockOf(one).connections.atDeploy),
      row('first wave of renewals, a minute', (one) => deployLoad(one).renewals),
      row('wave of issues at the max TTL, a minute', (one) => deployLoad(one).issuesAtMaxTtl),
      row(
        `**After ${minutes} minutes without the server**: requests a second`,
        (one) => loadAtReturn(one, outage).requests,
      ),
      row('**All tokens lost**: logins and issues a minute', (one) => loadAfterLoss(one).logins),
      row('**After an outage longer than the TTL**: logins a second', (one) => loadAfterExpiry(one).logins),
    ],
  );
}

function runTable({ figures }: MeasuredRun): string {
  const rows = figures.map(({ part, what, predicted, measured, holds }) => [
    `${part}: ${what}`,
    holds === 'most' ? `at most ${number(predicted)}` : number(predicted),
    number(measured),
  ]);
  return table(['60 processes', 'By the formula', 'Measured'], rows);
}

function runNotes({ date, machine, load, seconds, queries }: MeasuredRun): string {
  const whole = (value: number) => Math.round(value).toLocaleString('en-US');
  return (
    `Measured on ${date} (${machine}, load ${load}): ${whole(seconds.steady)} s at rest, a rolling restart of ` +
    `${whole(seconds.deploy)} s, ${whole(queries)} queries in all.`
  );
}

function ratesTable({ rates }: MeasuredRates): string {
  const row = (name: string, key: keyof (typeof rates)[number]) => [
    name,
    ...rates.map((one) => number(one[key])),
  ];
  return table(
    [
      'Answers a second, 32 callers',
      ...rates.map(({ nodes }) => (nodes === 1 ? 'one node' : `${nodes} nodes`)),
    ],
    [
      row('issues of database users', 'issues'),
      row('`CREATE ROLE` in PostgreSQL alone, 4 connections', 'users'),
      row('logins with AppRole', 'logins'),
      row('renewals of leases', 'leaseRenewals'),
      row('renewals of tokens', 'tokenRenewals'),
      row('KV reads', 'reads'),
    ],
  );
}

const outlivesLine = ({ fleet }: Example) => `${number(outlives(fleet.lease) / MINUTE)} minutes`;

const UNMEASURED = '_Not measured yet._';

function read<T>(name: string): T | undefined {
  const file = path(`../../test/capacity/${name}`);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : undefined;
}

/** The page with its generated parts renewed. */
export async function withTables(page: string): Promise<string> {
  const run = read<MeasuredRun>('run.json');
  const rates = read<MeasuredRates>('rates.json');
  const parts: Record<string, string> = {
    hours: `${exampleTable(HOURS)}\n\nEach process outlives an outage of ${outlivesLine(HOURS)}.`,
    minutes: `${exampleTable(MINUTES)}\n\nEach process outlives an outage of ${outlivesLine(MINUTES)}.`,
    run: run ? `${runNotes(run)}\n\n${runTable(run)}` : UNMEASURED,
    rates: rates
      ? `Measured on ${rates.date} (${rates.machine}, load ${rates.load}).\n\n${ratesTable(rates)}`
      : UNMEASURED,
  };
  let text = page;
  for (const [name, part] of Object.entries(parts)) {
    const start = `<!-- generated by npm run docs:capacity: ${name} -->`;
    const from = text.indexOf(start);
    const to = text.indexOf('<!-- end -->', from);
    if (from === -1 || to === -1) throw new Error(`The page has no part ${name}.`);
    text = `${text.slice(0, from + start.length)}\n\n${part}\n\n${text.slice(to)}`;
  }
  return format(text, { ...(await resolveConfig(PAGE)), parser: 'markdown' });
}

/** `npm run docs:capacity`. */
export async function main(): Promise<void> {
  writeFileSync(PAGE, await withTables(readFileSync(PAGE, 'utf8')));
}
