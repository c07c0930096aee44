import fc from 'fast-check';
import { it } from 'vitest';
import { live } from './life.js';
import { schedules } from './schedule.js';

/** Runs the same schedules each time; PROPERTY_SEED=random PROPERTY_RUNS=5000 tries new ones. */
const { PROPERTY_SEED = '20261124', PROPERTY_RUNS = '200' } = process.env;
const seed = PROPERTY_SEED === 'random' ? Date.now() % 2 ** 31 : Number(PROPERTY_SEED);

it('for any events in any order: published credentials work, and requests stay few', async () => {
  await fc.assert(
    fc.asyncProperty(schedules, async (schedule) => {
      await live(schedule);
    }),
    { seed, numRuns: Number(PROPERTY_RUNS) },
  );
}, 1_800_000);
