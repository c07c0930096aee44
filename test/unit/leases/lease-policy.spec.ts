import { expect, it } from 'vitest';
import {
  nextHeldStep,
  nextLeaseStep,
  renewalMargin,
  type LeaseView,
} from '../../../lib/leases/lease-policy.js';

const renewal = { at: 0.66, jitter: 0.05, ttl: Infinity };
const fresh: LeaseView = {
  ttl: 10_000,
  firstTtl: 10_000,
  age: 0,
  drain: 0,
  left: 10_000,
  tokenLeft: 60_000,
  renewable: true,
  maxTtl: 'far',
  periodic: false,
  superseded: undefined,
  lost: false,
  expired: false,
  rejectedIn: Infinity,
  jitter: 0,
};

it.each<[string, Partial<LeaseView>, string, number]>([
  ['a fresh lease is renewed at two thirds', {}, 'renew renewal', 6_600],
  ['jitter brings it forward', { jitter: -1 }, 'renew renewal', 6_100],
  ['jitter puts it off', { jitter: 1 }, 'renew renewal', 7_100],
  ['the due time does not move as time passes', { left: 5_000 }, 'renew renewal', 1_600],
  ['an overdue renewal is due now', { left: 1_000 }, 'renew renewal', 0],
  ['near its max TTL it is replaced', { maxTtl: 'near' }, 'rotate max-ttl', 0],
  ['a lease at its max TTL is replaced, too', { maxTtl: 'reached' }, 'rotate max-ttl', 0],
  [
    'of a TTL of a few seconds, one second is left',
    { ttl: 2_000, left: 2_000, jitter: 1 },
    'renew renewal',
    1_000,
  ],
  ['an expired lease is issued anew', { left: 0 }, 'rotate expired', 0],
  ['a lease with an expired token is issued anew', { tokenLeft: 0 }, 'rotate expired', 0],
  [
    'without renewal it is replaced late',
    { renewable: false, ttl: 60_000, left: 60_000 },
    'rotate not-renewable',
    54_000,
  ],
  ['with up to a second of overlap', { renewable: false }, 'rotate not-renewable', 9_000],
  [
    'a third of a very short one',
    { renewable: false, ttl: 1_500, left: 1_500 },
    'rotate not-renewable',
    1_000,
  ],
  [
    'a secret without a lease is left alone',
    { ttl: Infinity, left: Infinity, tokenLeft: Infinity },
    'none no-lease',
    Infinity,
  ],
  ['a newer token replaces the lease, soonest', { superseded: 0, jitter: -1 }, 'rotate token', 0],
  ['within a quarter of the time left', { superseded: 0, jitter: 1 }, 'rotate token', 2_500],
  ['counted from the new token', { superseded: 1_000, left: 9_000, jitter: 1 }, 'rotate token', 1_500],
  ['even near its max TTL', { superseded: 0, jitter: 1, maxTtl: 'near' }, 'rotate token', 2_500],
  ['before the old token ends it', { superseded: 0, jitter: 1, tokenLeft: 4_000 }, 'rotate token', 1_000],
  [
    'half a minute at most',
    { superseded: 0, jitter: 1, ttl: 3_600_000, left: 3_600_000, tokenLeft: 3_600_000 },
    'rotate token',
    30_000,
  ],
])('%s', (_what, view, expected, due) => {
  const step = nextLeaseStep({ ...fresh, ...view }, renewal);
  expect(`${step.action} ${step.reason}`).toBe(expected);
  expect(step.in).toBeCloseTo(due, 3);
});

it.each<[string, Partial<LeaseView>, string]>([
  ['near its max TTL, a renewal that is due comes first', { maxTtl: 'near', left: 3_000 }, 'renew renewal'],
  ['before that the next attempt', { maxTtl: 'near', left: 5_000 }, 'rotate max-ttl'],
  ['a newer token changes nothing', { superseded: 1_000, left: 3_000, tokenLeft: 9_000 }, 'renew renewal'],
  ['at its max TTL nothing helps', { maxTtl: 'reached', left: 3_000 }, 'rotate max-ttl'],
  [
    'the same for a lease that cannot be renewed',
    { superseded: 1_000, left: 3_000, renewable: false },
    'rotate token',
  ],
])('after a failed rotation: %s', (_what, view, expected) => {
  const step = nextLeaseStep({ ...fresh, ...view }, renewal, true);
  expect(`${step.action} ${step.reason}`).toBe(expected);
});

it.each<[string, Partial<LeaseView>, string]>([
  ['a newer token is no reason to end it', { superseded: 0 }, 'renew renewal'],
  ['a near max TTL is no reason either', { maxTtl: 'near' }, 'renew renewal'],
  ['at its max TTL it ends', { maxTtl: 'reached' }, 'rotate max-ttl'],
])('without a replacement: %s', (_what, view, expected) => {
  const step = nextHeldStep({ ...fresh, ...view }, renewal);
  expect(`${step.action} ${step.reason}`).toBe(expected);
});

it.each([500, 1_000, 2_000, 2_500, 3_000, 4_000])(
  'a renewal leaves consumers their %i ms to drain, and two seconds to get the next lease',
  (drain) => {
    for (const jitter of [-1, 0, 1]) {
      const step = nextLeaseStep({ ...fresh, drain, jitter }, renewal);
      expect(step.action).toBe('renew');
      expect(fresh.ttl - step.in).toBeGreaterThanOrEqual(drain + 2_000);
    }
  },
);

it('the next step always comes before the end', () => {
  for (const granted of [1_000, 2_000, 5_000, 60_000, 3_600_000, 2_764_800_000])
    for (const jitter of [-1, 0, 1])
      for (const renewable of [true, false])
        for (const superseded of [undefined, 0]) {
          const view = {
            ...fresh,
            ttl: granted,
            left: granted,
            tokenLeft: granted,
            jitter,
            renewable,
            superseded,
          };
          const step = nextLeaseStep(view, { ...renewal, at: 0.9, jitter: 0.1 });
          expect(step.in).toBeGreaterThanOrEqual(0);
          expect(step.in).toBeLessThanOrEqual(granted);
          if (!renewable || superseded !== undefined) expect(step.in).toBeLessThan(granted);
        }
});

it.each([
  [1_000, 200],
  [5_000, 1_000],
  [10_000, 2_000],
  [60_000, 6_000],
  [3_600_000, 360_000],
])('a lease of %d ms is given up with %d ms left', (granted, margin) => {
  expect(renewalMargin(granted)).toBe(margin);
});
