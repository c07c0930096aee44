import { expect, it } from 'vitest';
import { healthOf, type LeaseStatus, type SessionStatus } from '../../../lib/events/status.js';

const next = { action: 'none', reason: 'test' } as const;
const session = (state: SessionStatus['state'], attempt = 0): SessionStatus => ({
  state,
  sequence: 0,
  next,
  attempt,
});
const lease = (state: LeaseStatus['state']): LeaseStatus => ({
  path: 'database/creds/app',
  state,
  next,
  attempt: 0,
  superseded: 0,
  ending: [],
});

it.each([
  ['up', session('valid'), []],
  ['up', session('valid'), [lease('valid')]],
  ['degraded', session('degraded'), [lease('valid')]],
  ['degraded', session('valid'), [lease('degraded'), lease('valid')]],
  ['down', session('valid'), [lease('degraded'), lease('expired')]],
  ['down', session('expired'), []],
  // A deferred login: no token is missing before something needs one.
  ['up', session('none'), []],
  ['degraded', session('none', 1), []],
  ['down', session('none', 1), [lease('pending')]],
] as const)('%s: the worst state, with a token that is $state', (health, token, leases) => {
  expect(healthOf(token, leases, [])).toBe(health);
});
