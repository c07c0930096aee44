import { it } from 'vitest';
import type { SimulatedVault, VirtualClock } from '../../lib/testing/index.js';
import { simulatedWorlds } from './simulated-world.js';
import type { World } from './world.js';

/** A world whose server gives any answer, and whose time a test controls. */
export type SimulatedWorld = World & { readonly clock: VirtualClock; readonly vault: SimulatedVault };

/** Far more requests than a story needs. After them the server fails, so that endless requests cannot hang the test. */
const ENOUGH = 2_000;

/** A regression test of one story: on a simulated server of its own, which ends with it. */
export function story(
  title: string,
  test: (world: SimulatedWorld) => Promise<void>,
  dialect: 'openbao' | 'vault' = 'openbao',
): void {
  it(title, async () => {
    const worlds = await simulatedWorlds(dialect)();
    const world = (await worlds.open()) as SimulatedWorld;
    let asked = 0;
    world.vault.cut({ match: () => ++asked > ENOUGH });
    await test(world).finally(() => world.close());
  });
}

/** The body of a server's error. */
export const errors = (...texts: string[]) => JSON.stringify({ errors: texts });
export const SEALED = errors('Vault is sealed');
export const DENIED = errors('permission denied');
