import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { prometheusAvailable } from '../support/prometheus.mjs';
import { dashboardExpressions, filledIn } from './dashboard.js';
import { hour } from './hour.js';
import { scaledRules } from './rules.js';
import { COMMANDS, Reader } from './runbook.js';
import { SHORT, STORIES, type Story } from './stories.js';
import { notEqual, totals } from './totals.js';
import { World } from './world.js';

const USAGE = `Usage: npm run test:operated -- [--short | --hour [--minutes <n>]] [--story <name>] [--log <file>]

Nest applications on a real OpenBao and a real PostgreSQL, with a Prometheus that has the rules of docs/monitoring.
Without an option each alert is fired by its fault, looked at and corrected by the commands of its runbook.

  --short        two faults, and an application without one; for CI
  --hour         an hour without a fault: no alert fires, and the metrics equal the audit log
  --minutes <n>  another duration for --hour
  --story <name> one of ${STORIES.map(({ name }) => name).join(', ')}
  --log <file>   writes the commands of the runbooks with their output`;

/** A minute of the rules is three seconds of the test. Scrapes each second still see each window several times. */
const FASTER = 20;
/** A metric for which there is no cause here: no idle connection is reset. */
const NEVER_HERE = 'request_resends';
/** Applications that suffer at a time: more of them would make each other late. */
const AT_A_TIME = 4;

/** `npm run test:operated`. */
export async function main(): Promise<void> {
  const { values } = parseArgs({
    // The first argument is the name of this file.
    args: process.argv.slice(3),
    options: {
      short: { type: 'boolean', default: false },
      hour: { type: 'boolean', default: false },
      minutes: { type: 'string', default: '60' },
      story: { type: 'string' },
      log: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const available = prometheusAvailable();
  if (!available.ok) return console.log(`Skipped: ${available.reason}`);
  if (values.hour) return hour(Number(values.minutes));

  const chosen = STORIES.filter(({ name }) =>
    values.story ? ['quiet', values.story].includes(name) : !values.short || SHORT.includes(name),
  );
  const began = Date.now();
  const reader = new Reader();
  const shown = new Set<string>();
  const faults: string[] = [];
  for (let from = 0; from < chosen.length; from += AT_A_TIME)
    faults.push(...(await live(chosen.slice(from, from + AT_A_TIME), reader, shown)));
  const { log, left } = reader;
  if (values.log) writeFileSync(values.log, `${log.join('\n\n')}\n`);
  if (chosen.length === STORIES.length) {
    faults.push(...left.map(({ section, line }) => `runbooks.md:${line} (${section}) was not followed`));
    const empty = dashboardExpressions().filter((expr) => !shown.has(expr) && !expr.includes(NEVER_HERE));
    faults.push(...empty.map((expr) => `dashboard.json: no data for ${expr}`));
  }
  for (const fault of faults) console.log(`FAILED  ${fault}`);
  const alerts = new Set(chosen.flatMap(({ fires }) => fires)).size;
  console.log(
    `operated: ${alerts} alerts of ${chosen.length} applications, ${log.length} of ${COMMANDS.length} blocks of runbooks, ` +
      `${faults.length} failed, ${Math.round((Date.now() - began) / 1_000)} s`,
  );
  process.exitCode = faults.length > 0 ? 1 : 0;
}

/**
 * @param shown the expressions of the dashboard that had data
 * @returns the faults
 */
async function live(stories: readonly Story[], reader: Reader, shown: Set<string>): Promise<string[]> {
  const world = await World.start(reader);
  const faults: string[] = [];
  try {
    const subjects = await Promise.all(
      stories.map(async (story) => ({
        story,
        subject: await world.subject(
          story.name,
          story.life,
          story.ownServer ? await world.ownServer() : undefined,
        ),
      })),
    );
    await world.observe(scaledRules(FASTER));
    await Promise.all(
      subjects.map(async ({ story, subject }) => {
        const began = Date.now();
        try {
          await story.run(world, subject);
          console.error(`${story.name}: ${((Date.now() - began) / 1_000).toFixed(1)} s`);
        } catch (error) {
          faults.push(`${story.name}: ${(error as Error).message}`);
        }
      }),
    );
    const [quiet] = subjects.filter(({ story }) => story.fires.length === 0);
    if (quiet) {
      const { env, bao } = quiet.subject;
      faults.push(...notEqual(await totals([env['INSTANCE'] ?? ''], bao.auditFile ?? '')));
    }
    for (const expr of dashboardExpressions()) {
      // Some panels show trouble only, which has ended by now.
      const data = await world.prometheus.query(`count_over_time((${filledIn(expr)})[30m:5s])`);
      if (data.length > 0) shown.add(expr);
    }
    const fired = await world.fired();
    for (const { name, fires, mayFire = [] } of stories) {
      const seen = fired[name] ?? [];
      const missing = fires.filter((alert) => !seen.includes(alert));
      const extra = seen.filter((alert) => ![...fires, ...mayFire].includes(alert));
      if (missing.length > 0) faults.push(`${name}: did not fire ${missing.join(', ')}`);
      if (extra.length > 0) faults.push(`${name}: fired ${extra.join(', ')}, too`);
    }
  } finally {
    await world.stop();
  }
  return faults;
}
