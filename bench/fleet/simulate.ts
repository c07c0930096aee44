import { Health } from './health.js';
import type { Client } from './instance.js';
import { SECOND, TTL, World, type Scenario } from './scenarios.js';
import { seeded } from './seeded.js';
import { between, most, mostWithin, sum } from './tally.js';

/** What one fleet did in one scenario. */
export interface Figures {
  /** Requests in the busiest second over those in the average one, from the end of the incident on. */
  peakToMean: number;
  /** Requests in the busiest second. */
  peak: number;
  /** Requests in the average second. */
  mean: number;
  /** Logins and issues that were answered, in the 60 s with the most of them. */
  loginsAMinute: number;
  issuesAMinute: number;
  /** Seconds from the end of the incident until every instance had a credential that works and nothing that fails. */
  healthyAfter: number | undefined;
  /** Instances that held on to a credential that was over. */
  expiredInstances: number;
  /** Seconds that they did so, all added up. */
  expiredSeconds: number;
  /** Seconds that instances knew to have no credential, all added up; before the first one does not count. */
  withoutSeconds: number;
  /** Requests from the beginning of the incident on, and how many of them found no server. */
  requests: number;
  refused: number;
  /** Requests in each second, from a minute before the incident on, and the index of the second it begins in. */
  series: number[];
  begins: number;
}

export interface Settings {
  instances: number;
  seed: number;
  /** Milliseconds (default: {@link TTL}). */
  ttl?: number;
  /** Milliseconds that the fleet is watched (default: that of the scenario). */
  after?: number;
}

/** Lets one fleet go through one scenario; always in the same way, for the same seed. */
export function simulate(client: Client, scenario: Scenario, settings: Settings): Promise<Figures> {
  return seeded(settings.seed, () => pass(client, scenario, settings));
}

async function pass(client: Client, scenario: Scenario, settings: Settings): Promise<Figures> {
  const { instances: count, ttl = TTL, after = scenario.after } = settings;
  const { starting = false, lasts } = scenario;
  const world = new World(count, ttl);
  const { clock, server, tally, roleId, secretId, path } = world;

  // A fleet that has run for long renews at any time alike: as if it had been started over one such period. By a tenth
  // of a TTL after the last start every jitter has had its part in the renewals.
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
  // A rolling start is a load by itself.
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
