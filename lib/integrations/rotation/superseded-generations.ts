import { runIsolated } from '../../clock/run-isolated.js';
import type { UserCredentials } from '../../leases/user-credentials.js';
import type { PoolEvents } from './pool-events.js';
import { sameUser, type PoolGeneration } from './pool-generation.js';
import type { RotationDriver } from './rotation-driver.js';

/** The earlier credentials of a pool, whose connections may finish their work within the drain window. */
export class SupersededGenerations<C> {
  readonly #driver: RotationDriver<C>;
  readonly #events: PoolEvents;
  readonly #drain: number;
  readonly #all = new Set<PoolGeneration<C>>();

  /** @param drain milliseconds */
  constructor(driver: RotationDriver<C>, events: PoolEvents, drain: number) {
    this.#driver = driver;
    this.#events = events;
    this.#drain = drain;
  }

  /** Newer credentials have replaced `previous`. */
  add(previous: PoolGeneration<C>, credentials: UserCredentials): void {
    this.#all.add(previous);
    for (const earlier of this.#all) this.#supersede(earlier, previous, credentials);
  }

  /** The last connection is closed. */
  delete(generation: PoolGeneration<C>): void {
    this.#all.delete(generation);
  }

  /** The lease ends soon, and the database user with it. */
  leaseEnding(generation: PoolGeneration<C>): void {
    if (this.#all.has(generation)) this.#closeOverdue(generation);
  }

  /** Number of open connections. */
  get size(): number {
    return [...this.#all].reduce((sum, { connections }) => sum + connections.size, 0);
  }

  /** Number of uses of connections at the moment. */
  get uses(): number {
    return [...this.#all].reduce((sum, generation) => sum + usesOf(generation, this.#driver), 0);
  }

  /**
   * Starts the drain window of earlier credentials. Sessions of the same user need none: the database keeps them
   * open.
   */
  #supersede(earlier: PoolGeneration<C>, previous: PoolGeneration<C>, credentials: UserCredentials): void {
    const same = !this.#driver.closesSameUser && sameUser(earlier.credentials, credentials);
    // Connections of older generations were notified before, unless their user is replaced only now.
    if (earlier !== previous && (same || earlier.closeAt)) return;
    const closeAt = same ? undefined : earlier.startDrain(this.#drain, () => this.#closeOverdue(earlier));
    for (const connection of earlier.connections)
      runIsolated(() => this.#driver.onSuperseded?.(connection, closeAt));
  }

  #closeOverdue(generation: PoolGeneration<C>): void {
    const count = usesOf(generation, this.#driver);
    if (count > 0) this.#events.emit(generation.lease, { type: 'drain-timeout', count });
    for (const connection of generation.connections) this.#driver.end(connection, generation);
  }
}

/** Number of uses that the application makes of these connections at the moment. */
export function usesOf<C>({ connections }: PoolGeneration<C>, driver: RotationDriver<C>): number {
  return [...connections].reduce((sum, one) => sum + (driver.usesOf?.(one) ?? 1), 0);
}
