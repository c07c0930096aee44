import { beforeEach, describe, expect, it } from 'vitest';
import { KeyedLimiter, Limiter } from '../../../lib/clock/limiter.js';
import { Scheduler } from '../../../lib/clock/scheduler.js';
import { HandClock } from '../../support/virtual-clock.js';

function gate() {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}
const settle = () => new Promise((resolve) => setImmediate(resolve));

it('runs up to its limit at a time, the others in order', async () => {
  const limiter = new Limiter(2);
  const gates = Array.from({ length: 6 }, gate);
  const started: number[] = [];
  let running = 0;
  let most = 0;
  const jobs = gates.map(({ opened }, index) =>
    limiter.run(async () => {
      started.push(index);
      most = Math.max(most, ++running);
      await opened;
      running--;
      return index;
    }),
  );
  await settle();
  expect(started).toEqual([0, 1]);
  gates[1]?.open();
  await settle();
  expect(started).toEqual([0, 1, 2]);
  for (const { open } of gates) open();
  expect(await Promise.all(jobs)).toEqual([0, 1, 2, 3, 4, 5]);
  expect([started, most]).toEqual([[0, 1, 2, 3, 4, 5], 2]);
});

it('a failed job frees its place', async () => {
  const limiter = new Limiter(1);
  const fail = () => limiter.run(() => Promise.reject(new Error('no')));
  const throwing = () =>
    limiter.run(() => {
      throw new Error('at once');
    });
  expect(await Promise.allSettled([fail(), throwing(), fail()])).toHaveLength(3);
  expect(await limiter.run(() => Promise.resolve('yes'))).toBe('yes');
});

it('a new job does not overtake waiting ones', async () => {
  const limiter = new Limiter(1);
  const order: string[] = [];
  const first = gate();
  const jobs = [limiter.run(() => first.opened), limiter.run(async () => void order.push('waiting'))];
  first.open();
  jobs.push(limiter.run(async () => void order.push('newcomer')));
  await Promise.all(jobs);
  expect(order).toEqual(['waiting', 'newcomer']);
});

describe('urgent jobs', () => {
  let clock: HandClock;
  let limiter: Limiter;
  let order: string[];
  beforeEach(() => {
    clock = new HandClock();
    limiter = new Limiter(1, new Scheduler(clock));
    order = [];
  });
  const job = (name: string, until: Promise<void>, latest?: number) =>
    limiter.run(async () => {
      order.push(name);
      await until;
    }, latest);

  it('the job with the earliest latest start is next, and the others keep their order', async () => {
    const first = gate();
    const open = Promise.resolve();
    const now = clock.monotonic();
    const jobs = [
      job('running', first.opened),
      job('whenever 1', open),
      job('later', open, now + 2_000),
      job('whenever 2', open),
      job('sooner', open, now + 1_000),
    ];
    first.open();
    await Promise.all(jobs);
    expect(order).toEqual(['running', 'sooner', 'later', 'whenever 1', 'whenever 2']);
  });

  it('begins at its latest start without a place, and takes none from another job later', async () => {
    const [hanging, urgent, after] = [gate(), gate(), gate()];
    const now = clock.monotonic();
    void job('hanging', hanging.opened);
    void job('whenever', after.opened);
    void job('urgent', urgent.opened, now + 500);
    clock.advance(499);
    await settle();
    expect(order).toEqual(['hanging']);
    clock.advance(1);
    await settle();
    expect(order).toEqual(['hanging', 'urgent']);
    // The extra place is not passed on.
    urgent.open();
    await settle();
    expect(order).toEqual(['hanging', 'urgent']);
    hanging.open();
    await settle();
    expect(order).toEqual(['hanging', 'urgent', 'whenever']);
    after.open();
    await settle();
    expect(limiter.idle).toBe(true);
  });
});

it('jobs of one key take no place from those of another', async () => {
  const limiter = new KeyedLimiter(2);
  const hanging = gate();
  const started: string[] = [];
  const job = (key: string, until: Promise<void>) =>
    limiter.run(key, async () => {
      started.push(key);
      await until;
    });
  const jobs = Array.from({ length: 5 }, () => job('black hole', hanging.opened));
  await job('healthy', Promise.resolve());
  expect(started).toEqual(['black hole', 'black hole', 'healthy']);
  hanging.open();
  await Promise.all(jobs);
  expect(started).toHaveLength(6);
});
