import { afterAll, afterEach, beforeAll, describe, it } from 'vitest';
import { describeReal } from '../support/real-servers.js';
import { realWorld } from './real-world.js';
import { errorTaxonomy } from './rules/errors.js';
import { renewing } from './rules/renewing.js';
import type { Rules } from './rules/rule.js';
import { tokens } from './rules/tokens.js';
import type { World } from './world.js';

const RULES: Rules = [...renewing, ...errorTaxonomy, ...tokens];

function suite(open: () => Promise<World>, rules: Rules): void {
  let world: World;
  beforeAll(async () => {
    world = await open();
  });
  afterEach(async () => {
    await world.reset();
  });
  afterAll(async () => {
    await world?.stop();
  });
  for (const { id, title, test } of rules) it(`${id} ${title}`, () => test(world), 60_000);
}

describeReal('real server', () => {
  suite(
    realWorld,
    RULES.filter(({ where }) => where === 'real'),
  );
});

describe.todo('simulated server');
