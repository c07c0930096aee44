import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { BACKENDS } from './backends/index.js';
import { CONNECTIONS, soak, type SoakReport } from './run.js';
import { listed, table } from './summary.js';
import { VARIANTS } from './variant.js';

const USAGE = `Usage: npm run test:soak -- [--rotations <n>] [--variant <name>|all] [--short] [--json <file>]

A Nest application under HTTP load while its database user rotates: short queries, transactions of 1 to 5 s, cursors.

  --rotations <n>  number of rotations (default: 100)
  --variant <name> ${Object.keys(VARIANTS).join(', ')} or all (default: all)
  --short          a tenth of the rotations; latency is reported, but fails nothing
  --json <file>    also writes the report to a file
  --help           this text

mariadb is skipped if MariaDB is not installed.`;

const RATIO = 1.5;
/** Allowed growth of the heap in a run: a share, or so many bytes. */
const FLAT = { share: 0.05, bytes: 2 * 1024 * 1024 };

/** `npm run test:soak`. */
export async function main(): Promise<void> {
  const { values } = parseArgs({
    // The first argument is the name of this file.
    args: process.argv.slice(3),
    options: {
      rotations: { type: 'string', default: '100' },
      variant: { type: 'string', default: 'all' },
      short: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const chosen = Object.entries(VARIANTS).filter(([name]) => ['all', name].includes(values.variant));
  const rotations = Math.ceil(Number(values.rotations) / (values.short ? 10 : 1));
  if (chosen.length === 0 || !(rotations > 0)) throw new Error(USAGE);

  const reports: SoakReport[] = [];
  for (const [name, { backend }] of chosen) {
    const missing = BACKENDS[backend].missing();
    if (missing === undefined) reports.push(await soak(name, BACKENDS[backend], rotations, console.error));
    else console.log(`Skipped ${name}: ${missing}`);
  }
  if (reports.length > 0) console.log(`\n${render(reports)}\n`);
  if (values.json) writeFileSync(values.json, `${JSON.stringify(reports, undefined, 2)}\n`);
  const missed = reports.flatMap((report) => goalsMissed(report, rotations, values.short));
  for (const goal of missed) console.log(`MISSED  ${goal}`);
  process.exitCode = missed.length > 0 ? 1 : 0;
}

function goalsMissed(report: SoakReport, rotations: number, short: boolean): string[] {
  const { variant, heap } = report;
  const growth = heap.perRotation * report.rotations;
  const goals: [boolean, string][] = [
    [report.rotations >= rotations, `${report.rotations} of ${rotations} rotations`],
    [report.failed === 0, `${report.failed} failed: ${listed(report.codes)}`],
    [report.usersLeft === 0, `${report.usersLeft} users left`],
    [report.connectionsLeft === 0, `${report.connectionsLeft} connections left`],
    [report.connectionsLeaked === 0, `${report.connectionsLeaked} connections of earlier users`],
    // One more connection verifies the next credentials.
    [report.mostConnections <= CONNECTIONS + 1, `${report.mostConnections} connections at a time`],
    [report.lateUsers === 0, `connections of ${report.lateUsers} users past the drain window`],
    [short || report.shed === 0, `${report.shed} queries were not sent`],
    [
      short || report.ratio <= RATIO,
      `p99 after a publication is ${report.ratio.toFixed(2)} times the p99 at other times`,
    ],
    [growth <= Math.max(FLAT.bytes, heap.start * FLAT.share), `the heap grew by ${bytes(growth)}`],
  ];
  return goals.flatMap(([kept, text]) => (kept ? [] : [`${variant}: ${text}`]));
}

/** One column for each variant. */
function render(reports: readonly SoakReport[]): string {
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  const lines: [string, (report: SoakReport) => string][] = [
    ['rotations', ({ rotations, seconds }) => `${rotations} in ${seconds} s`],
    ['… by reason', ({ reasons }) => listed(reasons)],
    ['logins', ({ logins }) => String(logins)],
    ['short queries', ({ queries }) => String(queries)],
    ['transactions of 1–5 s', ({ transactions }) => String(transactions)],
    ['cursors of 1–5 s', ({ cursors }) => String(cursors)],
    ['**failed**', ({ failed, codes }) => `**${failed}**${failed ? ` (${listed(codes)})` : ''}`],
    ['not sent, as too many were pending', ({ shed }) => String(shed)],
    ['closed past the drain window', ({ stragglers }) => String(stragglers)],
    ['p50, p99 at other times', ({ elsewhere }) => `${ms(elsewhere.p50)}, ${ms(elsewhere.p99)}`],
    ['p50, p99 after a publication', ({ afterPublication: a }) => `${ms(a.p50)}, ${ms(a.p99)} (${a.count})`],
    ['**ratio of p99**', ({ ratio }) => `**${ratio.toFixed(2)}**`],
    ['long work, beyond its requested time: p50, p99', ({ long }) => `${ms(long.p50)}, ${ms(long.p99)}`],
    ['users left', ({ usersLeft }) => String(usersLeft)],
    ['connections of earlier users after the load', ({ connectionsLeaked }) => String(connectionsLeaked)],
    ['connections, users at a time', (one) => `${one.mostConnections}, ${one.mostUsers} at most`],
    ['connections left', ({ connectionsLeft }) => String(connectionsLeft)],
    ['heap at the start, at the end', ({ heap }) => `${bytes(heap.start)}, ${bytes(heap.end)}`],
    ['… for each rotation', ({ heap }) => bytes(heap.perRotation)],
    ['resident at the start, at the end', ({ rss }) => `${bytes(rss.start)}, ${bytes(rss.end)}`],
    ['requests to the server; failed', ({ requests }) => `${requests.total}; ${requests.failed}`],
    ['warnings', ({ warnings }) => String(warnings.length)],
  ];
  const head = ['', ...reports.map(({ variant }) => variant)];
  const rows = lines.map(([label, cell]) => [label, ...reports.map(cell)]);
  const warnings = reports.flatMap(({ variant, warnings: all }) =>
    all.map((one) => `${variant} warned: ${one}`),
  );
  return [table(head, rows), ...warnings].join('\n');
}

function bytes(count: number): string {
  return Math.abs(count) < 1024 * 1024
    ? `${(count / 1024).toFixed(1)} KiB`
    : `${(count / 1024 ** 2).toFixed(1)} MiB`;
}
