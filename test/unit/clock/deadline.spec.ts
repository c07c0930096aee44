import { expect, it } from 'vitest';
import { after, earlier, NEVER, now, remaining } from '../../../lib/clock/deadline.js';
import { HandClock } from '../../support/virtual-clock.js';

it('runs down on both clocks', () => {
  const clock = new HandClock();
  const deadline = after(now(clock), 10_000);
  expect(remaining(deadline, clock)).toBe(10_000);
  clock.advance(4_000);
  expect(remaining(deadline, clock)).toBe(6_000);
  clock.advance(7_000);
  expect(remaining(deadline, clock)).toBe(-1_000);
});

it('comes sooner after a suspension, and never later after a step back', () => {
  const clock = new HandClock();
  const deadline = after(now(clock), 10_000);
  clock.stepWall(-3_600_000);
  expect(remaining(deadline, clock)).toBe(10_000);
  clock.stepWall(3_600_000 + 9_000);
  expect(remaining(deadline, clock)).toBe(1_000);
});

it('NEVER does not come', () => {
  const clock = new HandClock();
  clock.stepWall(1e12);
  expect(remaining(NEVER, clock)).toBe(Infinity);
  const soon = after(now(clock), 1);
  expect(earlier(NEVER, soon)).toEqual(soon);
});

it('the earlier one is taken clock by clock', () => {
  expect(earlier({ monotonic: 1, wall: 20 }, { monotonic: 2, wall: 10 })).toEqual({ monotonic: 1, wall: 10 });
});
