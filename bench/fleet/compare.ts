import { deployLoad, loadAfterLoss, loadAtReturn, ratesAtRest, type Fleet } from './capacity.js';
import type { Measured } from './measure.js';
import { MINUTE, SCENARIOS, SECOND, TTL } from './scenarios.js';
import { sum } from './tally.js';

/** A figure by formula, and as it was simulated; requests in `seconds`. */
export interface Comparison {
  what: string;
  predicted: number;
  simulated: number;
  seconds: number;
}

/** Of the formula. Small fleets get three standard deviations more, as chance decides there. */
const TOLERANCE = 0.1;

/** The formulas of capacity.ts beside the simulation of this package. */
export function comparisons(
  { start, seal, 'fail-over': failOver }: Measured,
  instances: number,
): Comparison[] {
  const fleet = simulatedFleet(instances);
  const [rolling, sealed] = ['start', 'seal'].map(
    (id) => SCENARIOS.find((one) => one.id === id)!.lasts / SECOND,
  ) as [number, number];
  const perSecond = (
    what: string,
    rate: number,
    series: readonly number[],
    from: number,
    seconds: number,
  ) => ({
    what,
    predicted: rate * seconds,
    simulated: sum(series.slice(from, from + seconds)),
    seconds,
  });
  const deploy = deployLoad(fleet);
  const back = seal.begins + sealed;
  const wave = Math.round((0.66 * TTL) / SECOND);
  return [
    perSecond('at rest', ratesAtRest(fleet).total / 60, seal.series, 0, seal.begins),
    perSecond('rolling start', (deploy.logins + deploy.issues) / 60, start.series, 0, rolling),
    // Without the edges, which the jitter blurs.
    perSecond('first wave of renewals', deploy.renewals / 60, start.series, wave + 180, rolling - 360),
    perSecond(
      'last minute of 10 minutes sealed',
      loadAtReturn(fleet, sealed - 30).requests,
      seal.series,
      back - 60,
      60,
    ),
    perSecond('first minute after it', loadAtReturn(fleet, sealed).requests, seal.series, back, 60),
    {
      what: 'logins in the worst minute after the loss of all tokens',
      predicted: loadAfterLoss(fleet).logins,
      simulated: failOver.loginsAMinute,
      seconds: 60,
    },
  ];
}

export function isWithin({ predicted, simulated }: Comparison): boolean {
  return Math.abs(simulated - predicted) <= TOLERANCE * predicted + 3 * Math.sqrt(predicted);
}

/** The fleet of scenarios.ts. */
function simulatedFleet(replicas: number): Fleet {
  const ttl = TTL / SECOND;
  return {
    replicas,
    token: { ttl, maxTtl: Infinity },
    leases: 1,
    lease: { ttl, maxTtl: Infinity },
    pool: { max: 0, drain: 0 },
    secrets: 0,
    watched: 0,
    every: 300,
    deploy: { duration: (10 * MINUTE) / SECOND, surge: 0 },
  };
}
