import fc from 'fast-check';
import { afterAll, beforeAll, it } from 'vitest';
import { hostileAnswers } from './answers.js';
import { World } from './consumers.js';
import { counted, inputs, seed } from './inputs.js';
import { noStackTraces } from './no-stack-traces.js';

const LIMIT = 600_000;
const NAMES = Object.keys(new World().consumers);
/** Share of all inputs. */
const SHARE = 0.6;
/** Consumers whose path is watched and released each time, which takes as long as several reads. */
const SLOW = new Set(['issue', 'static role', 'certificate']);
const parts = NAMES.length - SLOW.size + SLOW.size / 4;

noStackTraces();
let world: World;
beforeAll(async () => void (world = await new World().start()));
afterAll(() => world.clock.until(world.connection.close()));

it.each(NAMES)(
  'answers to %s',
  async (name) => {
    const numRuns = Math.ceil((inputs * SHARE) / parts / (SLOW.has(name) ? 4 : 1));
    const { path } = world.consumers[name] as (typeof world.consumers)[string];
    const good = world.server.goodAnswer(path);
    await fc.assert(
      fc.asyncProperty(hostileAnswers(good), (answer) => world.meet(name, answer)),
      { seed, numRuns },
    );
    counted(`answers to ${name}`, numRuns);
  },
  LIMIT,
);
