import { beforeEach, expect, it } from 'vitest';
import { Scheduler } from '../../../lib/clock/scheduler.js';
import { HandClock } from '../../support/virtual-clock.js';

let clock: HandClock;
let scheduler: Scheduler;
/** The jobs that ran in each turn of the event loop. */
let turns: number[][];

/** A turn ends where the timer fires that ends its wait. */
class TurnClock extends HandClock {
  override setTimer(delay: number, callback: () => void): () => void {
    return super.setTimer(delay, () => {
      turns.push([]);
      callback();
    });
  }
}

beforeEach(() => {
  turns = [[]];
  clock = new TurnClock();
  scheduler = new Scheduler(clock);
});

/** Each takes a millisecond. */
const job = (name: number) => ({
  run: () => {
    turns.at(-1)?.push(name);
    clock.work(1);
  },
});
const times = [7, 3, 11, 1, 9, 5, 12, 2, 10, 4, 8, 6];
const sorted = [...times].sort((one, other) => one - other);

it('works 5 ms in a turn, and goes on with the earliest', () => {
  for (const time of times) scheduler.soon(time, job(time));
  expect(turns).toEqual([[7, 3, 11, 1, 9]]);
  clock.advance(100);
  expect(turns).toEqual([
    [7, 3, 11, 1, 9],
    [2, 4, 5, 6, 8],
    [10, 12],
  ]);
  scheduler.soon(0, job(0));
  expect(turns.at(-1)).toEqual([10, 12, 0]);
  expect(clock.timers.size).toBe(0);
});

it('spreads what falls due at the same time', () => {
  for (const time of times) scheduler.at(clock.monotonic() + time, job(time));
  clock.work(1_000);
  clock.advance(100);
  expect(turns.filter((jobs) => jobs.length > 0)).toEqual([
    sorted.slice(0, 5),
    sorted.slice(5, 10),
    sorted.slice(10),
  ]);
});

it('spreads what a jump of the clock wakes, although its time has not come', () => {
  for (const time of times) scheduler.at(clock.monotonic() + time * 60_000, job(time));
  clock.stepWall(10_000);
  clock.advance(30_100);
  expect(turns.flat()).toEqual(sorted);
  expect(Math.max(...turns.map(({ length }) => length))).toBe(5);
  clock.advance(3_600_000);
  expect(turns.flat()).toEqual(sorted);
});

it('what falls due while others wait for their turn comes between them', () => {
  for (const time of [0, 0, 0, 0, 0, 2_000, 4_000]) scheduler.soon(5_000 + time, job(time));
  scheduler.at(5_001, job(1));
  clock.advance(100);
  expect(turns).toEqual([
    [0, 0, 0, 0, 0],
    [1, 2_000, 4_000],
  ]);
});

it('a job that is cancelled while it waits for its turn does not run', () => {
  const tasks = times.map((time) => scheduler.soon(time, job(time)));
  expect(tasks.slice(0, 5)).toEqual([undefined, undefined, undefined, undefined, undefined]);
  tasks.at(-1)?.cancel();
  clock.advance(100);
  expect(turns.flat()).toHaveLength(times.length - 1);
  expect(turns.flat()).not.toContain(times.at(-1));
});

it('a job that throws takes no turn from the others', async () => {
  const thrown: unknown[] = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => thrown.push(error));
  try {
    const fail = () => {
      throw new Error('of a job');
    };
    scheduler.soon(0, { run: fail });
    for (const time of times) scheduler.soon(time, job(time));
    clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
    expect(turns.flat()).toHaveLength(times.length);
    expect(thrown).toEqual([new Error('of a job')]);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  }
});

it('close() runs what waits for its turn, and no timer is left', () => {
  scheduler.at(clock.monotonic() + 60_000, job(99));
  for (const time of times) scheduler.soon(time, job(time));
  scheduler.close();
  expect(turns.flat().sort((one, other) => one - other)).toEqual(sorted);
  expect(clock.timers.size).toBe(0);
  scheduler.soon(0, job(0));
  expect(turns.flat()).toHaveLength(times.length + 1);
  clock.advance(3_600_000);
  expect(turns.flat()).not.toContain(99);
});
