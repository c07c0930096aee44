import { expect, it } from 'vitest';
import { firstGrant, nextGrant, type Grant, type GrantUpdate } from '../../../lib/lifetime/grant.js';

const sent = (seconds: number) => ({ monotonic: seconds * 1_000, wall: seconds * 1_000 });
const random = () => 0.5;
const CAPPED = 'TTL of "60s" exceeded the effective max_ttl of "50s"; TTL value is capped accordingly';

const answer = (at: number, seconds: number, warnings: string[] = []) => ({
  seconds,
  renewable: true,
  sentAt: sent(at),
  warnings,
});

/** Grants in turn: when, for how many seconds, and whether the server warned of the max TTL. */
function granted(...renewals: [at: number, seconds: number, warned?: boolean][]): Grant {
  const [[at, seconds] = [0, 0], ...others] = renewals;
  return others.reduce(
    (before, [when, ttl, warned]) =>
      nextGrant(
        before,
        { kind: 'renewed', answer: answer(when, ttl, [warned ? CAPPED : 'something else']) },
        random,
      ),
    firstGrant(answer(at, seconds), random),
  );
}

it('a grant counts from the time of the request, and 0 never expires', () => {
  expect(firstGrant(answer(5, 60), random)).toMatchObject({ ttl: 60_000, deadline: sent(65), maxTtl: 'far' });
  expect(firstGrant(answer(5, 0), random)).toMatchObject({ ttl: Infinity, deadline: sent(Infinity) });
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

const UPDATES: GrantUpdate[] = [
  { kind: 'renewed', answer: answer(10, 30), asked: 40, periodic: true },
  { kind: 'retired', answer: answer(10, 1) },
  { kind: 'read-again', grant: firstGrant(answer(10, 90), random) },
  { kind: 'at-max-ttl' },
  { kind: 'not-renewable' },
  { kind: 'ended' },
  { kind: 'refused' },
];

it.each(UPDATES)('$kind makes another grant and leaves the one before as it was', (update) => {
  const before = Object.freeze(firstGrant(answer(0, 60), random));
  const copy = { ...before };
  expect(nextGrant(before, update, random)).not.toBe(before);
  expect(before).toEqual(copy);
});

it.each(UPDATES.filter(({ kind }) => kind !== 'read-again' && kind !== 'refused'))(
  'no answer of before ($kind) revives a lease that has ended',
  (update) => {
    const ended = nextGrant(firstGrant(answer(0, 60), random), { kind: 'ended' }, random);
    expect(nextGrant(ended, update, random).state).toBe('ended');
  },
);

it('a token that is read again is alive, and keeps what its renewals have shown', () => {
  const kinds = ['at-max-ttl', 'not-renewable', 'refused'] as const;
  const before = kinds.reduce<Grant>(
    (grant, kind) => nextGrant(grant, { kind }, random),
    firstGrant(answer(0, 60), random),
  );
  const again = nextGrant(before, { kind: 'read-again', grant: firstGrant(answer(10, 90), random) }, random);
  expect(again).toMatchObject({ ttl: 90_000, maxTtl: 'reached', renewable: false, state: 'alive' });
});

it('a lease that the server was asked to end is not asked about again', () => {
  const alive = firstGrant(answer(0, 60), random);
  expect(nextGrant(alive, { kind: 'retired', answer: answer(10, 1) }, random)).toMatchObject({
    ttl: 1_000,
    state: 'retired',
  });
});
