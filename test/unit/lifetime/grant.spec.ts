import { expect, it } from 'vitest';
import { firstGrant, renewedGrant, type Grant } from '../../../lib/lifetime/grant.js';

const sent = (seconds: number) => ({ monotonic: seconds * 1_000, wall: seconds * 1_000 });
const random = () => 0.5;
const CAPPED = 'TTL of "60s" exceeded the effective max_ttl of "50s"; TTL value is capped accordingly';

/** Grants in turn: when, for how many seconds, and whether the server warned of the max TTL. */
function granted(...renewals: [at: number, seconds: number, warned?: boolean][]): Grant {
  const [[at, seconds] = [0, 0], ...others] = renewals;
  return others.reduce(
    (before, [when, ttl, warned]) =>
      renewedGrant(before, ttl, sent(when), warned ? [CAPPED] : ['something else'], random),
    firstGrant(seconds, sent(at), random),
  );
}

it('a grant counts from the time of the request, and 0 never expires', () => {
  expect(firstGrant(60, sent(5), random)).toMatchObject({ ttl: 60_000, deadline: sent(65), maxTtl: 'far' });
  expect(firstGrant(0, sent(5), random)).toMatchObject({ ttl: Infinity, deadline: sent(Infinity) });
});

it.each<[string, Grant['maxTtl'], [number, number, boolean?][]]>([
  [
    'the same as before',
    'far',
    [
      [0, 60],
      [40, 60],
    ],
  ],
  [
    'more than before',
    'far',
    [
      [0, 60],
      [40, 3_600],
    ],
  ],
  [
    'the same, with a warning (a period)',
    'far',
    [
      [0, 60],
      [40, 60, true],
    ],
  ],
  [
    'less, with a warning',
    'near',
    [
      [0, 60],
      [40, 50, true],
    ],
  ],
  [
    'less once, without a warning: the TTL was lowered',
    'far',
    [
      [0, 3_600],
      [2_400, 600],
    ],
  ],
  [
    'less once, then the same, without a warning: the TTL was lowered',
    'far',
    [
      [0, 3_600],
      [2_400, 600],
      [2_800, 600],
    ],
  ],
  [
    'less and less, without a warning',
    'near',
    [
      [0, 60],
      [40, 50],
      [75, 40],
    ],
  ],
  [
    'only the time left, without a warning',
    'near',
    [
      [0, 60],
      [40, 20],
    ],
  ],
  [
    'to the same end again',
    'reached',
    [
      [0, 60],
      [40, 50, true],
      [73, 17, true],
    ],
  ],
  [
    'a second of rounding apart',
    'reached',
    [
      [0, 60],
      [40.2, 50, true],
      [73.9, 16, true],
    ],
  ],
  [
    'more again, after all',
    'far',
    [
      [0, 60],
      [40, 50, true],
      [73, 60],
    ],
  ],
])('granted %s: the max TTL is %s', (_what, maxTtl, renewals) => {
  expect(granted(...renewals).maxTtl).toBe(maxTtl);
});
