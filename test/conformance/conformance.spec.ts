import { afterAll, beforeAll, it } from 'vitest';
import { describeReal } from '../support/real-servers.js';
import { realWorlds } from './real-world.js';
import { errorTaxonomy } from './rules/errors.js';
import { renewing } from './rules/renewing.js';
import type { Rules } from './rules/rule.js';
import { tokens } from './rules/tokens.js';
import type { Worlds } from './world.js';

const RULES: Rules = [...renewing, ...errorTaxonomy, ...tokens];

function suite(openAll: () => Promise<Worlds>, rules: Rules): void {
  let worlds: Worlds;
  beforeAll(async () => {
    worlds = await openAll();
  });
  afterAll(async () => {
    await worlds?.stop();
  });
  for (const { id, title, test } of rules) {
    it.concurrent(
      `${id} ${title}`,
      async () => {
        const world = await worlds.open();
        await test(world).finally(() => world.close());
      },
      60_000,
    );
  }
}

describeReal('real server', () => {
  suite(
    realWorlds,
    RULES.filter(({ where }) => where === 'real'),
  );
});
