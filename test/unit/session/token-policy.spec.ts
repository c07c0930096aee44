import { expect, it } from 'vitest';
import { nextTokenStep, type TokenView } from '../../../lib/session/token-policy.js';

const renewal = { at: 0.66, jitter: 0.05 };
const fresh: TokenView = {
  ttl: 60_000,
  firstTtl: 60_000,
  age: 0,
  left: 60_000,
  drain: 0,
  renewable: true,
  maxTtl: 'far',
  uses: Infinity,
  dead: false,
  expired: false,
  jitter: 0,
};
const forever = { ttl: Infinity, firstTtl: Infinity, left: Infinity };
/** A token whose consumers need half of its TTL. */
const slow = { drain: 30_000 };

it.each<[string, Partial<TokenView>, string, number]>([
  ['a fresh token is renewed at two thirds', {}, 'renew renewal', 39_600],
  ['the due time does not move as time passes', { left: 30_000 }, 'renew renewal', 9_600],
  ['an overdue renewal is due now', { left: 10_000 }, 'renew renewal', 0],
  ['jitter brings it forward', { jitter: -1 }, 'renew renewal', 36_600],
  ['jitter puts it off', { jitter: 1 }, 'renew renewal', 42_600],
  ['32 days stay a number', { ttl: 2_764_800_000, left: 2_764_800_000 }, 'renew renewal', 1_824_768_000],
  ['near its max TTL it is replaced', { maxTtl: 'near', left: 20_000 }, 'login max-ttl', 0],
  ['renewals leave the time that its consumers need', slow, 'renew renewal', 28_000],
  [
    'with enough left, one that is near its max TTL is replaced later',
    { ...slow, maxTtl: 'near', age: 28_000, left: 72_000 },
    'login max-ttl',
    38_000,
  ],
  [
    'but not in the first half of its TTL',
    { ...slow, maxTtl: 'near', age: 10_000, left: 30_000 },
    'login max-ttl',
    10_000,
  ],
  [
    'one that cannot be renewed is replaced sooner for them',
    { ...slow, renewable: false },
    'login not-renewable',
    30_000,
  ],
  ['at its max TTL too', { maxTtl: 'reached', left: 20_000 }, 'login max-ttl', 0],
  [
    'of a TTL of a few seconds, one second is left',
    { ttl: 2_000, left: 2_000, jitter: 1 },
    'renew renewal',
    1_000,
  ],
  ['a token that cannot be renewed is replaced in time', { renewable: false }, 'login not-renewable', 39_600],
  ['an invalid one at once', { dead: true }, 'login token-lost', 0],
  ['an expired one at once', { left: 0, expired: true }, 'login expired', 0],
  [
    'one that the server has ended after its time',
    { dead: true, left: 0, expired: true },
    'login expired',
    0,
  ],
  ['one past its end', { left: -5_000, expired: true }, 'login expired', 0],
  ['a root token is left alone', { ...forever, renewable: false }, 'none never-expires', Infinity],
  ['an invalid root token is not', { ...forever, dead: true }, 'login token-lost', 0],
  ['the last use is not spent on a renewal', { uses: 1 }, 'login uses', 39_600],
  ['the last but one is not spent on a renewal either', { uses: 2 }, 'login uses', 39_600],
  ['three uses are enough to renew', { uses: 3 }, 'renew renewal', 39_600],
  ['used up: a login when its leases need one, or on demand', { uses: 0 }, 'login uses', 39_600],
  ['a root token with one use has no expiry', { ...forever, uses: 1 }, 'none never-expires', Infinity],
])('%s', (_what, view, expected, due) => {
  const step = nextTokenStep({ ...fresh, ...view }, renewal);
  expect(`${step.action} ${step.reason}`).toBe(expected);
  if (due === Infinity) expect(step.in).toBe(Infinity);
  else expect(step.in).toBeCloseTo(due, 3);
});

it('has always a next step that is not before now', () => {
  for (const left of [-1, 0, 1, 999, 60_000, Infinity])
    for (const uses of [0, 1, 2, 3, Infinity])
      for (const flags of [0, 1, 2, 3, 4, 5, 6, 7]) {
        const view = { ...fresh, left, uses, jitter: 1 };
        const step = nextTokenStep(
          {
            ...view,
            dead: (flags & 1) > 0,
            maxTtl: (flags & 2) > 0 ? 'near' : 'far',
            renewable: (flags & 4) > 0,
          },
          renewal,
        );
        expect(step.in).toBeGreaterThanOrEqual(0);
      }
});

it.each<[string, Partial<TokenView>, string, number]>([
  ['a renewal that is due comes first', { maxTtl: 'near', left: 20_000 }, 'renew renewal', 0],
  ['before that another login', { maxTtl: 'near', left: 30_000 }, 'login max-ttl', 0],
  ['nothing helps at the max TTL', { maxTtl: 'reached', left: 20_000 }, 'login max-ttl', 0],
  [
    'the same for a token that cannot be renewed',
    { maxTtl: 'near', left: 20_000, renewable: false },
    'login max-ttl',
    0,
  ],
  ['the last use is still kept', { maxTtl: 'near', left: 20_000, uses: 2 }, 'login max-ttl', 0],
])('after a failed login: %s', (_what, view, expected, due) => {
  const step = nextTokenStep({ ...fresh, ...view }, renewal, true);
  expect(`${step.action} ${step.reason}`).toBe(expected);
  expect(step.in).toBeCloseTo(due, 3);
});
