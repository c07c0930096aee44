import { expect, it } from 'vitest';
import { RetryState } from '../../../lib/retry/retry-state.js';
import { VaultError } from '../../../lib/errors/vault-error.js';
import { HandClock } from '../../support/virtual-clock.js';

const limited = new VaultError({
  code: 'VAULT_RATE_LIMITED',
  message: 'no',
  hint: 'wait',
  retryAfter: 4_000,
});
const retry = { initialDelay: 500, maxDelay: 300_000, jitter: 0.5 };

/** Milliseconds until the next attempt. */
function delay(random: number, left: number): number {
  const clock = new HandClock();
  const tries = new RetryState({ clock, options: { retry }, random: () => random });
  return tries.fail(limited, { left, ttl: 3_600_000 }).getTime() - clock.wall();
}

it('clients that wait for the same Retry-After of 4 s do not retry in the same moment', () => {
  const delays = [0, 0.25, 0.5, 1].map((random) => delay(random, Infinity));
  expect(delays).toEqual([4_000, 4_500, 5_000, 6_000]);
});

it('one more attempt comes before the deadline, for any Retry-After', () => {
  expect(delay(1, 6_000)).toBe(3_000);
});

it('after a success the first failure waits as briefly as ever', () => {
  const clock = new HandClock();
  const tries = new RetryState({ clock, options: { retry }, random: () => 0 });
  const down = new VaultError({ code: 'VAULT_UNREACHABLE', message: 'no', hint: 'wait' });
  const wait = () => tries.fail(down).getTime() - clock.wall();
  const [first] = [wait(), wait(), wait(), wait()];
  expect(wait()).toBeGreaterThan(first as number);
  tries.succeed();
  expect(wait()).toBe(first);
});

it.each([
  ['VAULT_UNREACHABLE', 10_000],
  ['VAULT_PERMISSION_DENIED', 30_000],
] as const)('after the end of a TTL of one minute, %s is retried each %i ms', (code, longest) => {
  const clock = new HandClock();
  const tries = new RetryState({ clock, options: { retry }, random: () => 0 });
  const error = new VaultError({ code, message: 'no', hint: 'wait' });
  const delays = Array.from({ length: 12 }, () => {
    const at = tries.fail(error, { left: 0, ttl: 60_000 });
    return at.getTime() - clock.wall();
  });
  expect(delays).toEqual([...delays].sort((a, b) => a - b));
  expect(delays.at(-1)).toBe(longest);
});
