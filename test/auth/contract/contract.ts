import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Worlds } from '../../conformance/world.js';
import { lives } from './lives.js';
import type { MethodUnderTest } from './method.js';
import { TITLES, type Title } from './titles.js';
import { Trial, type Rule } from './trial.js';
import { trouble } from './trouble.js';

const contract: Record<Title, Rule> = { ...lives, ...trouble };

/** A rule that needs the virtual clock: real servers share the clock of the test. */
const SIMULATED_ONLY: readonly Title[] = ['skew'];

/** The server that a suite runs on. */
export interface Where {
  readonly kind: 'openbao' | 'vault';
  readonly simulated: boolean;
  open: () => Promise<Worlds>;
  /** Another server than the one that this package is tested with: a rule may not apply to it. */
  readonly mayDiffer?: boolean;
}

/** What every auth method does. Each test has a mount, roles and connections of its own. */
export function authContract(
  method: MethodUnderTest,
  { kind, simulated, open, mayDiffer = false }: Where,
): void {
  describe(method.name, () => {
    let worlds: Worlds;
    beforeAll(async () => {
      worlds = await open();
    });
    afterAll(() => worlds?.stop());

    for (const [title, text] of Object.entries(TITLES) as [Title, string][]) {
      if (!simulated && SIMULATED_ONLY.includes(title)) continue;
      it.concurrent(text, async ({ skip }) => {
        const known = method.notApplicable?.[title];
        const reason = typeof known === 'object' ? known[kind] : known;
        if (reason !== undefined) skip(reason);
        const trial = new Trial(await worlds.open(), method, kind);
        const differs = await contract[title](trial).finally(() => trial.end());
        if (differs === undefined) return;
        if (mayDiffer) skip(differs);
        expect.fail(differs);
      });
    }
  });
}
