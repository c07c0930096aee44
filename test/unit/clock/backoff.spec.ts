import { expect, it } from 'vitest';
import { backoff, type Haste } from '../../../lib/clock/backoff.js';

const retry = { initialDelay: 500, maxDelay: 30_000, jitter: 0.5 };
const patient = { ...retry, maxDelay: 300_000 };
const attempts = [1, 2, 3, 6, 7, 8, 1_000];
const delays = (haste: Haste | undefined, random: number) =>
  attempts.map((attempt) => backoff(attempt, retry, haste, () => random));
/** For a TTL of an hour. */
const within = (left: number): Haste => ({ left, ttl: 3_600_000 });

it('doubles up to the bound', () => {
  expect(delays(undefined, 0)).toEqual([500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000]);
});

it('subtracts the random share, never adds it', () => {
  expect(delays(undefined, 1)).toEqual([250, 500, 1_000, 8_000, 15_000, 15_000, 15_000]);
  expect(backoff(1, { ...retry, jitter: 0 }, undefined, () => 1)).toBe(500);
});

it('stays within its bounds with the random numbers of the system', () => {
  const seen = Array.from({ length: 500 }, () => backoff(2, retry));
  expect(Math.min(...seen)).toBeGreaterThanOrEqual(500);
  expect(Math.max(...seen)).toBeLessThanOrEqual(1_000);
  expect(Math.max(...seen) - Math.min(...seen)).toBeGreaterThan(100);
});

it('leaves time for one more attempt before the deadline', () => {
  expect(backoff(10, retry, within(4_000), () => 0)).toBe(2_000);
  expect(backoff(10, retry, within(40_000), () => 0)).toBe(20_000);
  expect(backoff(10, retry, within(100_000), () => 0)).toBe(30_000);
});

it('never retries without a pause, before or after the deadline', () => {
  expect(backoff(10, retry, within(10), () => 1)).toBe(100);
  expect(backoff(1, retry, within(0), () => 1)).toBe(250);
  expect(backoff(1, retry, within(-5_000), () => 1)).toBe(250);
});

it('a first delay below the floor is kept', () => {
  expect(backoff(1, { initialDelay: 10, maxDelay: 1_000, jitter: 0 }, within(1))).toBe(10);
});

it('with much time left the first delay is long, so that a fleet does not retry at once', () => {
  expect(backoff(1, retry, within(400_000), () => 0)).toBe(10_000);
  expect(backoff(1, retry, within(400_000), () => 1)).toBe(5_000);
  expect(backoff(1, retry, within(20 * 60_000), () => 0)).toBe(30_000);
  expect(backoff(1, retry, within(20_000), () => 0)).toBe(500);
});

it('with much time left the delays grow', () => {
  const half = attempts.map((attempt) => backoff(attempt, patient, within(20 * 60_000), () => 0));
  expect(half).toEqual([30_000, 60_000, 120_000, 150_000, 150_000, 150_000, 150_000]);
  expect(backoff(1_000, patient, within(4 * 86_400_000), () => 0)).toBe(300_000);
  expect(backoff(1_000, patient, within(60_000), () => 0)).toBe(30_000);
});

it('after the deadline, attempts come as often as renewals would, but every 30 s at least', () => {
  const over = (ttl: number) =>
    attempts.map((attempt) => backoff(attempt, patient, { left: 0, ttl }, () => 0));
  expect(over(12_000)).toEqual([500, 1_000, 2_000, 2_000, 2_000, 2_000, 2_000]);
  expect(over(1_000)).toEqual(Array(7).fill(500));
  expect(over(3_600_000).at(-1)).toBe(30_000);
  expect(over(Infinity).at(-1)).toBe(30_000);
});

it('with unknown time left, every 30 s at least', () => {
  expect(backoff(1_000, patient, undefined, () => 0)).toBe(30_000);
});
