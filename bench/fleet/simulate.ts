import { Health } from './health.js';
import type { Client } from './instance.js';
import { loaded, SECOND, TTL, World, type Scenario } from './scenarios.js';
import { seeded } from './seeded.js';
import { between, most, mostWithin, sum } from './tally.js';

/** The results of one fleet in one scenario. */
export interface Figures {
  /** Requests in the busiest second, divided by those in the average one, from the end of the incident on. */
  peakToMean: number;
  /** Requests in the busiest second. */
  peak: number;
  /** Requests in the average second. */
  mean: number;
  /** Answered logins and issues, in the 60 s with the most of them. */
  loginsAMinute: number;
  issuesAMinute: number;
  /** Seconds from the end of the incident until every instance had a valid credential and no failing request. */
  healthyAfter: number | undefined;
  /** Number of instances that used an expired credential. */
  expiredInstances: number;
  /** Sum of the seconds in which they did so. */
  expiredSeconds: number;
  /** Sum of the seconds in which instances knew that they had no credential; not counted before the first one. */
  withoutSeconds: number;
  /** Requests from the start of the incident on, and the number of those that found no server. */
  requests: number;
  refused: number;
  /** Requests in each second, from a minute before the incident on, and the index of its first second. */
  series: number[];
  begins: number;
}

export interface Settings {
  instances: number;
  seed: number;
  /** TTL in milliseconds (default: {@link TTL}). */
  ttl?: number;
  /** Duration of the observation in milliseconds (default: that of the scenario). */
  after?: number;
}

/** Simulates one fleet in one scenario; with the same result for the same seed. */
export function simulate(client: Client, scenario: Scenario, settings: Settings): Promise<Figures> {
  return seeded(settings.seed, () => pass(client, scenario, settings));
}

async function pass(client: Client, scenario: Scenario, settings: Settings): Promise<Figures> {
  await loaded();
  const { instances: count, ttl = TTL, after = scenario.after } = settings;
  const { starting = false, lasts } = scenario;
  const world = new World(count, ttl);
  const { clock, server, tally, roleId, secretId, path } = world;

  // The renewals of a long-running fleet are spread evenly, as after starts spread over one renewal period. A tenth of
  // a TTL after the last start, the jitter has affected all renewals.
  const spread = starting ? lasts : ttl * client.renewsAt;
  const fleet = Array.from({ length: count }, () => {
    const instance = client.make({ clock, server, roleId, secretId, path });
    clock.setTimer(spread * Math.random(), () => instance.start());
    return instance;
  });
  const begins = starting ? 0 : Math.ceil((spread + ttl / 10) / SECOND) * SECOND;
  await clock.advance(begins);

  const health = new Health(world, fleet);
  scenario.begin?.(world);
  await health.watch(lasts, false);
  scenario.end?.(world);
  await health.watch(after, true);

  const [from, ended, to] = [begins, begins + lasts, begins + lasts + after].map((at) =>
    Math.round(at / SECOND),
  ) as [number, number, number];
  // A rolling start itself is the load.
  const looked = between(tally.sent, starting ? from : ended, to);
  const mean = sum(looked) / looked.length;
  return {
    peakToMean: most(looked) / mean,
    peak: most(looked),
    mean,
    loginsAMinute: mostWithin(between(tally.answered.login, from, to), 60),
    issuesAMinute: mostWithin(between(tally.answered.issue, from, to), 60),
    ...health.figures,
    requests: sum(between(tally.sent, from, to)),
    refused: sum(between(tally.refused, from, to)),
    series: between(tally.sent, Math.max(0, from - 60), to),
    begins: Math.min(60, from),
  };
}
