import { expect, it } from 'vitest';
import { Limiter } from '../../../lib/clock/limiter.js';

function gate() {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}
const settle = () => new Promise((resolve) => setImmediate(resolve));

it('runs so many at a time, the others in their order', async () => {
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

it('a failed job gives its place back', async () => {
  const limiter = new Limiter(1);
  const fail = () => limiter.run(() => Promise.reject(new Error('no')));
  const throwing = () =>
    limiter.run(() => {
      throw new Error('at once');
    });
  expect(await Promise.allSettled([fail(), throwing(), fail()])).toHaveLength(3);
  expect(await limiter.run(() => Promise.resolve('yes'))).toBe('yes');
});

it('a newcomer does not slip in before those who wait', async () => {
  const limiter = new Limiter(1);
  const order: string[] = [];
  const first = gate();
  const jobs = [limiter.run(() => first.opened), limiter.run(async () => void order.push('waiting'))];
  first.open();
  jobs.push(limiter.run(async () => void order.push('newcomer')));
  await Promise.all(jobs);
  expect(order).toEqual(['waiting', 'newcomer']);
});
