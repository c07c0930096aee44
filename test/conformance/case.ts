import { it } from 'vitest';
import type { SimulatedVault, VirtualClock } from '../../lib/testing/index.js';
import { simulatedWorlds } from './simulated-world.js';
import type { World } from './world.js';

/** A world whose server can be told anything, and whose time can be moved at will. */
export type SimulatedWorld = World & { readonly clock: VirtualClock; readonly vault: SimulatedVault };

/** Far more than any of them needs. Then the server is gone, so that what asks without end fails and does not hang. */
const ENOUGH = 2_000;

/** One story that went wrong once: on a simulated server of its own, which ends with it. */
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

/** What a server says in its errors. */
export const errors = (...texts: string[]) => JSON.stringify({ errors: texts });
export const SEALED = errors('Vault is sealed');
export const DENIED = errors('permission denied');
