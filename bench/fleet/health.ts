import type { Instance } from './instance.js';
import { MINUTE, SECOND, type World } from './scenarios.js';

/** How often instances are looked at: at first, and later on; in between, after a twelfth of the time that has passed. */
const STEP = 10 * SECOND;
const LONGEST_STEP = MINUTE;
const SHARE = 1 / 12;

/** Looks at all instances again and again: whether what they hold still works at the server. */
export class Health {
  #expiredSeconds = 0;
  #withoutSeconds = 0;
  #healthyAfter: number | undefined;
  readonly #expired = new Set<Instance>();
  readonly #had = new Set<Instance>();
  readonly #world: World;
  readonly #fleet: readonly Instance[];

  constructor(world: World, fleet: readonly Instance[]) {
    this.#world = world;
    this.#fleet = fleet;
  }

  get figures() {
    return {
      healthyAfter: this.#healthyAfter,
      expiredInstances: this.#expired.size,
      expiredSeconds: this.#expiredSeconds,
      withoutSeconds: this.#withoutSeconds,
    };
  }

  /**
   * Lets time pass.
   *
   * @param recovering the incident is over, so that they should become healthy again
   */
  async watch(milliseconds: number, recovering: boolean): Promise<void> {
    const { clock, vault } = this.#world;
    for (let passed = 0; passed < milliseconds;) {
      const apart = Math.min(Math.max(STEP, Math.round((passed * SHARE) / SECOND) * SECOND), LONGEST_STEP);
      const step = Math.min(apart, milliseconds - passed);
      const waiting = recovering && this.#healthyAfter === undefined;
      if (this.#look(step / SECOND, waiting) && waiting) this.#healthyAfter = passed / SECOND;
      await clock.advance(step);
      passed += step;
      // The server remembers for tests what it was asked; nobody asks here.
      vault.clearHistory();
    }
  }

  /** Counts what is wrong for the seconds until the next look; returns whether all are well, where that is wanted. */
  #look(seconds: number, wanted: boolean): boolean {
    const { vault } = this.#world;
    let well = true;
    for (const instance of this.#fleet) {
      const credential = instance.current();
      if (credential && vault.isValid(credential.username, credential.password)) {
        this.#had.add(instance);
        // Only asked for where it matters: it is the expensive part.
        if (wanted && well && instance.failing) well = false;
        continue;
      }
      well = false;
      if (credential) {
        this.#expired.add(instance);
        this.#expiredSeconds += seconds;
      } else if (this.#had.has(instance)) this.#withoutSeconds += seconds;
    }
    return well;
  }
}
