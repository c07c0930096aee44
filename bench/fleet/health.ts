import type { Instance } from './instance.js';
import { MINUTE, SECOND, type World } from './scenarios.js';

/** Intervals of the checks: at first, and at most; between them, a twelfth of the elapsed time. */
const STEP = 10 * SECOND;
const LONGEST_STEP = MINUTE;
const SHARE = 1 / 12;

/** Checks at intervals whether the credentials of all instances still work at the server. */
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
   * Advances the time.
   *
   * @param recovering the incident has ended, so the instances should become healthy again
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
      // The server records its requests for tests; this simulation does not need them.
      vault.clearHistory();
    }
  }

  /** Counts failures for the seconds until the next check; with `wanted`, returns whether all are healthy. */
  #look(seconds: number, wanted: boolean): boolean {
    const { vault } = this.#world;
    let well = true;
    for (const instance of this.#fleet) {
      const credential = instance.current();
      if (credential && vault.isValid(credential.username, credential.password)) {
        this.#had.add(instance);
        // Computed only on demand, as it is expensive.
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
