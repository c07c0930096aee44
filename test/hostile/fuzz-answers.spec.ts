import fc from 'fast-check';
import { afterAll, beforeAll, it } from 'vitest';
import { hostileAnswers } from './answers.js';
import { World } from './consumers.js';
import type { Consumer } from './server.js';
import { counted, inputs, seed } from './inputs.js';
import { noStackTraces } from './no-stack-traces.js';

const LIMIT = 600_000;
const CONSUMERS = Object.entries(new World().consumers);
/** Share of all inputs. */
const SHARE = 0.6;
/** How many reads take as long: a path that is watched and released, or an application that starts and ends. */
const costOf = ({ leased, application }: Consumer) => (application ? 30 : leased ? 4 : 1);
const parts = CONSUMERS.reduce((sum, [, consumer]) => sum + 1 / costOf(consumer), 0);

noStackTraces();
let world: World;
beforeAll(async () => void (world = await new World().start()));
afterAll(() => world.close());

it.each(CONSUMERS)(
  'answers to %s',
  async (name, consumer) => {
    const numRuns = Math.ceil((inputs * SHARE) / parts / costOf(consumer));
    const good = world.server.goodAnswer(consumer.path);
    await fc.assert(
      fc.asyncProperty(hostileAnswers(good), (answer) => world.meet(name, answer)),
      { seed, numRuns },
    );
    counted(`answers to ${name}`, numRuns);
  },
  LIMIT,
);
