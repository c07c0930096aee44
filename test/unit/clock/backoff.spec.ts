import { expect, it } from 'vitest';
import { backoff } from '../../../lib/clock/backoff.js';

const retry = { initialDelay: 500, maxDelay: 30_000, jitter: 0.5 };
const delays = (left: number | undefined, random: number) =>
  [1, 2, 3, 6, 7, 8, 1_000].map((attempt) => backoff(attempt, retry, left, () => random));

it('doubles up to the bound', () => {
  expect(delays(undefined, 0)).toEqual([500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000]);
});

it('takes the random share off, never adds to it', () => {
  expect(delays(undefined, 1)).toEqual([250, 500, 1_000, 8_000, 15_000, 15_000, 15_000]);
  expect(backoff(1, { ...retry, jitter: 0 }, undefined, () => 1)).toBe(500);
});

it('stays within its bounds with the random numbers of the system', () => {
  const seen = Array.from({ length: 500 }, () => backoff(2, retry));
  expect(Math.min(...seen)).toBeGreaterThanOrEqual(500);
  expect(Math.max(...seen)).toBeLessThanOrEqual(1_000);
  expect(Math.max(...seen) - Math.min(...seen)).toBeGreaterThan(100);
});

it('leaves time for one more try before the time is over', () => {
  expect(backoff(10, retry, 4_000, () => 0)).toBe(2_000);
  expect(backoff(10, retry, 40_000, () => 0)).toBe(20_000);
  expect(backoff(10, retry, 100_000, () => 0)).toBe(30_000);
});

it('never runs hot at the end, nor after it', () => {
  expect(backoff(10, retry, 10, () => 1)).toBe(100);
  expect(backoff(1, retry, 0, () => 1)).toBe(250);
  expect(backoff(1, retry, -5_000, () => 1)).toBe(250);
});

it('a first delay below the floor is kept', () => {
  expect(backoff(1, { initialDelay: 10, maxDelay: 1_000, jitter: 0 }, 1)).toBe(10);
});

it('who has much time left does not hurry, so that a fleet does not come back at once', () => {
  expect(backoff(1, retry, 400_000, () => 0)).toBe(10_000);
  expect(backoff(1, retry, 400_000, () => 1)).toBe(5_000);
  expect(backoff(1, retry, 20 * 60_000, () => 0)).toBe(30_000);
  expect(backoff(1, retry, 20_000, () => 0)).toBe(500);
});
