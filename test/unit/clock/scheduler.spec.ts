import { beforeEach, expect, it } from 'vitest';
import { Scheduler } from '../../../lib/clock/scheduler.js';
import { HandClock } from '../../support/virtual-clock.js';

let clock: HandClock;
let scheduler: Scheduler;
let ran: string[];

beforeEach(() => {
  clock = new HandClock();
  scheduler = new Scheduler(clock);
  ran = [];
});
const at = (delay: number, name: string) =>
  scheduler.at(clock.monotonic() + delay, { run: () => ran.push(`${name}@${clock.monotonic() - 5_000}`) });

it('runs each once, in the order of their times, on one timer', () => {
  for (const delay of [900, 100, 500, 300, 700, 200, 800, 400, 600, 0]) {
    at(delay, 'task');
    expect(clock.timers.size).toBe(1);
  }
  clock.advance(450);
  expect(ran).toEqual(['task@0', 'task@100', 'task@200', 'task@300', 'task@400']);
  expect(clock.timers.size).toBe(1);
  clock.advance(10_000);
  expect(ran).toHaveLength(10);
  expect(ran.at(-1)).toBe('task@900');
  expect(clock.timers.size).toBe(0);
});

it('keeps the order of a few hundred random times', () => {
  const times = Array.from({ length: 300 }, (_, index) => (index * 7919) % 3_001);
  const done: number[] = [];
  for (const time of times) scheduler.at(clock.monotonic() + time, { run: () => done.push(time) });
  clock.advance(3_001);
  expect(done).toEqual([...times].sort((a, b) => a - b));
});

it('a task in the past runs on the next turn, not at once', () => {
  at(-60_000, 'late');
  expect(ran).toEqual([]);
  clock.advance(0);
  expect(ran).toEqual(['late@0']);
});

it('32 days are waited for in steps that do not overflow a timer', () => {
  const month = 32 * 24 * 3_600_000;
  expect(month).toBeGreaterThan(2 ** 31);
  at(month, 'renewal');
  clock.advance(month - 1);
  expect(ran).toEqual([]);
  clock.advance(1);
  expect(ran).toEqual([`renewal@${month}`]);
  expect(Math.max(...clock.delays)).toBeLessThanOrEqual(30_000);
  expect(Math.min(...clock.delays)).toBeGreaterThan(0);
  expect(clock.delays.length).toBeLessThan(month / 30_000 + 5);
});

it('Infinity means never, and needs no timer', () => {
  at(Infinity, 'never');
  expect(clock.timers.size).toBe(0);
});

it('a cancelled task does not run; the others do', () => {
  const task = at(100, 'cancelled');
  at(200, 'kept');
  task.cancel();
  task.cancel();
  clock.advance(1_000);
  expect(ran).toEqual(['kept@200']);
});

it('a task may schedule and cancel others while it runs', () => {
  const other = at(100, 'cancelled by the first');
  const run = () => {
    other.cancel();
    at(10, 'child');
    at(0, 'child');
  };
  scheduler.at(clock.monotonic() + 50, { run });
  clock.advance(1_000);
  expect(ran).toEqual(['child@50', 'child@60']);
});

it.each([3_600_000, -3_600_000])('after a jump of the wall clock by %d ms, all tasks run once', (jump) => {
  at(3_000_000, 'far');
  at(40_000, 'near');
  clock.advance(1_000);
  clock.stepWall(jump);
  clock.advance(29_000);
  expect(ran.map((line) => line.split('@')[0])).toEqual(['near', 'far']);
  clock.advance(3_000_000);
  expect(ran).toHaveLength(2);
});

it('ordinary drift is no jump', () => {
  at(600_000, 'far');
  for (let minute = 0; minute < 9; minute++) {
    clock.stepWall(minute % 2 ? 900 : -900);
    clock.advance(60_000);
  }
  expect(ran).toEqual([]);
});

it('an earlier task moves the timer', () => {
  at(20_000, 'second');
  at(10, 'first');
  expect(clock.timers.size).toBe(1);
  clock.advance(10);
  expect(ran).toEqual(['first@10']);
});

it('after close nothing runs, and no timer is left', () => {
  at(10, 'a');
  at(100_000, 'b');
  scheduler.close();
  expect(clock.timers.size).toBe(0);
  clock.advance(1_000_000);
  expect(ran).toEqual([]);
});
