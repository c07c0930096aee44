import type { Clock } from '../clock/clock.js';
import type { Answer, Engine } from './engine.js';
import type { Lease } from './lease.js';

/** Whether some data is what a consumer asked for. */
export type Requirement = (data: object) => boolean;

/** Whether an answer may take the place of the lease before it. Something between here and the server may have made it. */
export class IssuedCheck {
  readonly #clock: Clock;
  readonly #requirements = new Set<Requirement>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From now on asked of each answer; not where the current lease does not meet it, which is its consumer's mistake. */
  require(requirement: Requirement, current: Lease<unknown> | undefined): void {
    if (!current || requirement(current.data.reveal() as object)) this.#requirements.add(requirement);
  }

  /** Whether the members of the answer are those of a secret: not so where a proxy answered with a page of its own. */
  accepts({ leaseId, data }: Answer, engine: Engine, previous: Lease<unknown> | undefined): boolean {
    if (previous && previous.id !== '' && leaseId === '') return false;
    for (const requirement of this.#requirements) {
      if (requirement(data)) continue;
      // The first lease of another engine than its consumer believes: an error of theirs, and no reason to try again.
      if (previous || leaseId === '') return false;
      this.#requirements.delete(requirement);
    }
    if (engine.isComplete) return engine.isComplete(data);
    // An operator may change what a role issues. That is believed once there is nothing left to lose.
    if (!previous || previous.left(this.#clock) <= 0) return true;
    return hasMembersOf(data, previous.data.reveal() as Answer['data']);
  }
}

/** Whether nothing is missing, empty or of another type. */
function hasMembersOf(data: Answer['data'], before: Answer['data']): boolean {
  return Object.entries(before).every(([name, known]) => {
    const value = data[name];
    if (known === null) return value !== undefined;
    return typeof value === typeof known && value !== null && (value !== '' || known === '');
  });
}
