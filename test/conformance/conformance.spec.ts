import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeReal, realServer } from '../support/real-servers.js';
import { realWorlds } from './real-world.js';
import { ELSEWHERE, PENDING, RULES } from './rules/index.js';
import type { Rules } from './rules/rule.js';
import { simulatedWorlds } from './simulated-world.js';
import type { Worlds } from './world.js';

declare module 'vitest' {
  interface TaskMeta {
    /** Whether some answers of the server were made up by the test. */
    canned?: boolean;
  }
}

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
      async ({ task }) => {
        const world = await worlds.open();
        await test(world).finally(() => {
          task.meta.canned = world.canned;
          return world.close();
        });
      },
      60_000,
    );
  }
}

for (const dialect of ['openbao', 'vault'] as const) {
  describe(`simulated ${dialect}`, () => {
    suite(simulatedWorlds(dialect), RULES);
  });
}

describeReal(realServer.name, () => {
  suite(
    realWorlds,
    RULES.filter(({ where }) => where === 'real'),
  );
});

it('every rule is tested here, tested elsewhere, or pending with a reason', () => {
  const counts = { A: 9, B: 14, C: 20, D: 14, E: 11, F: 7, G: 4, H: 7, I: 3, J: 5, K: 6 };
  const all = Object.entries(counts).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, index) => `${letter}${index + 1}`),
  );
  const tried = new Set(RULES.map(({ id }) => id));
  const missing = all.filter((id) => !tried.has(id) && !ELSEWHERE.includes(id) && !(id in PENDING));
  expect(missing).toEqual([]);
  expect(Object.keys(PENDING).filter((id) => tried.has(id))).toEqual([]);
});
