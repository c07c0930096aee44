import { ratesAtRest, stockOf, type Rates } from '../../bench/fleet/capacity.js';
import type { Run, Size } from './run.js';

/** A figure of a run beside its formula. */
export interface Figure {
  part: string;
  what: string;
  predicted: number;
  measured: number;
  /** `equal`: within {@link TOLERANCE} of the formula. `most`: at most the formula. */
  holds: 'equal' | 'most';
}

/** Share of the formula by which a measured figure may differ. */
export const TOLERANCE = 0.1;

const COUNTED: [keyof Rates, string, keyof Run['steady']['requests']][] = [
  ['logins', 'logins', 'logins'],
  ['tokenRenewals', 'renewals of tokens', 'tokenRenewals'],
  ['issues', 'issues', 'issues'],
  ['leaseRenewals', 'renewals of leases', 'leaseRenewals'],
  ['retirements', 'superseded leases ended', 'retirements'],
  ['revocations', 'tokens revoked', 'revocations'],
  ['watches', 'reads of a followed KV secret', 'reads'],
];

/** The figures of a run that the page shows, and that the run is held to. */
export function figuresOf({ steady, deploy, leader, ...run }: Run, { fleet, batch }: Size): Figure[] {
  const rates = ratesAtRest(fleet);
  const { users, connections } = stockOf(fleet);
  const inPart = (rate: number, { seconds }: { seconds: number }) => (rate / 60) * seconds;
  const figure = (
    part: string,
    what: string,
    predicted: number,
    measured: number,
    holds: 'equal' | 'most',
  ) => ({
    part,
    what,
    predicted,
    measured,
    holds,
  });
  const failed = Object.values(run.failures).reduce((sum, count) => sum + count, 0);
  const restarts = fleet.replicas;
  // Old processes become fewer, so half of the logins at rest; new ones are too young for theirs.
  const logins = restarts + inPart(rates.logins, deploy) / 2;
  return [
    ...COUNTED.map(([rate, what, kind]) =>
      figure('at rest', what, inPart(rates[rate], steady), steady.requests[kind], 'equal'),
    ),
    figure('at rest', 'database users, on average', users.average, steady.users.average, 'equal'),
    figure('at rest', 'connections, on average', connections.atRest, steady.connections.average, 'equal'),
    figure('at rest', 'connections, at most', connections.atRotation, steady.connections.most, 'most'),
    figure('rolling restart', 'logins', logins, deploy.requests.logins, 'equal'),
    figure('rolling restart', 'tokens revoked', logins, deploy.requests.revocations, 'equal'),
    figure(
      'rolling restart',
      'database users, at most',
      (restarts + batch) * fleet.leases + 2 * (users.average - users.atRest),
      deploy.users.most,
      'most',
    ),
    figure('rolling restart', 'connections, at most', connections.atDeploy, deploy.connections.most, 'most'),
    figure(
      'restart of the leader',
      'connections, at most',
      connections.atRotation,
      leader.connections.most,
      'most',
    ),
    figure('the whole run', 'failed queries', 0, failed, 'most'),
    figure('afterwards', 'users left', 0, run.usersLeft, 'most'),
    figure('afterwards', 'connections left', 0, run.connectionsLeft, 'most'),
  ];
}

export function isHeld({ predicted, measured, holds }: Figure): boolean {
  return holds === 'most'
    ? measured <= predicted
    : Math.abs(measured - predicted) <= Math.max(1, predicted * TOLERANCE);
}
