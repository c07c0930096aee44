import type { Clock } from '../clock/clock.js';
import type { Answer, EngineRules } from '../engines/engine.js';
import type { Lease } from './lease.js';

/** Whether the data has the form that a consumer needs. */
export type Requirement = (data: object) => boolean;

/** Checks whether an answer may replace the previous lease. A proxy between here and the server may have written it. */
export class IssuedCheck {
  readonly #clock: Clock;
  readonly #requirements = new Set<Requirement>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Applies to each later answer. Ignored if the current lease does not meet it: that is a mistake of the consumer. */
  require(requirement: Requirement, current: Lease<unknown> | undefined): void {
    if (!current || requirement(current.data.reveal() as object)) this.#requirements.add(requirement);
  }

  /** Whether the answer has the members of this secret, in contrast to the answer of a proxy. */
  accepts({ leaseId, data }: Answer, engine: EngineRules, previous: Lease<unknown> | undefined): boolean {
    if (previous && previous.id !== '' && leaseId === '') return false;
    for (const requirement of this.#requirements) {
      if (requirement(data)) continue;
      // The first lease: the consumer chose a wrong engine, so another attempt would not help.
      if (previous || leaseId === '') return false;
      this.#requirements.delete(requirement);
    }
    if (engine.isComplete) return engine.isComplete(data);
    // An operator may change the data of a role. Other members are accepted only after the previous lease has ended.
    if (!previous || previous.left(this.#clock) <= 0) return true;
    // Members that are not a part of the secret may come and go.
    return hasMembersOf(engine.comparable(data), engine.comparable(previous.data.reveal() as object));
  }
}

/** Whether no member is missing, empty or of another type. */
function hasMembersOf(data: object, before: object): boolean {
  const members: Readonly<Record<string, unknown>> = { ...data };
  return Object.entries(before).every(([name, known]) => {
    const value = members[name];
    if (known === null) return value !== undefined;
    return typeof value === typeof known && value !== null && (value !== '' || known === '');
  });
}
