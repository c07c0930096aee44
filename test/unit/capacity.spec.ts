import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { PAGE, withTables } from '../../bench/fleet/capacity-page.js';
import {
  deployLoad,
  lifeOf,
  ratesAtRest,
  RENEWAL,
  RETRY,
  stockOf,
  type Fleet,
} from '../../bench/fleet/capacity.js';
import { resolveOptions } from '../../lib/config/resolved-options.js';
import { token } from '../../lib/index.js';
import { simulateSteady } from '../../bench/fleet/steady.js';

// The other formulas are compared in fleet.spec.ts, in `npm run bench:fleet` and in `npm run test:capacity`.

/** Share of a formula by which the simulation may differ. */
const TOLERANCE = 0.05;

const fleet: Fleet = {
  replicas: 40,
  token: { ttl: 600, maxTtl: Infinity },
  leases: 1,
  lease: { ttl: 600, maxTtl: 3_600 },
  pool: { max: 10, drain: 20 },
  secrets: 0,
  watched: 0,
  every: 300,
  deploy: { duration: 60, surge: 0 },
};

it('the formulas use the defaults of the options', () => {
  const { renewal, retry } = resolveOptions({ address: 'https://vault.test', auth: token('x') });
  expect(renewal).toMatchObject(RENEWAL);
  expect(retry).toEqual(RETRY);
});

it.each([
  ['a token with a period', {}],
  [
    'a token that ends before its leases',
    { token: { ttl: 600, maxTtl: 6_200 }, lease: { ttl: 600, maxTtl: 86_400 } },
  ],
  [
    'a token with several lives of its leases',
    { token: { ttl: 600, maxTtl: 7_200 }, lease: { ttl: 600, maxTtl: 3_000 } },
  ],
  ['three leases that are never extended', { leases: 3, replicas: 20, lease: { ttl: 600, maxTtl: 600 } }],
])('the formulas give the requests and users of a fleet at rest: %s', async (_, differing) => {
  const one = { ...fleet, ...differing };
  // A whole life of each token, or two of its leases: so each process counts the same, whenever it started.
  const ofToken = lifeOf(one.token).length;
  const whole = Math.round(ofToken < Infinity ? ofToken : 2 * lifeOf(one.lease).length);
  const { rates, users } = await simulateSteady(one, { starting: whole, observed: whole });
  const { watches: _watches, total: _total, ...formulas } = ratesAtRest(one);
  const simulated: Record<string, number> = { ...rates, users };
  for (const [what, predicted] of Object.entries({ ...formulas, users: stockOf(one).users.average })) {
    const found = simulated[what] ?? NaN;
    const difference = Math.abs(found - predicted);
    expect(difference, `${what}: ${found}, by the formula ${predicted}`).toBeLessThanOrEqual(
      predicted * TOLERANCE,
    );
  }
});

it('the wave of issues a max TTL after a rolling deploy is as high as the formula says', async () => {
  const one = { ...fleet, replicas: 300 };
  const { issuesAMinute } = await simulateSteady(one, {
    starting: one.deploy.duration,
    observed: lifeOf(one.lease).length + 600,
  });
  const predicted = deployLoad(one).issuesAtMaxTtl;
  expect(issuesAMinute).toBeGreaterThan(predicted * 0.9);
  expect(issuesAMinute).toBeLessThan(predicted * 1.15);
});

it('the tables of the page are those of the formulas: npm run docs:capacity', async () => {
  const page = readFileSync(PAGE, 'utf8');
  expect(page).toBe(await withTables(page));
});
