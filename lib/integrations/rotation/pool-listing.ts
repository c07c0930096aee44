import type { PoolStatus } from '../../events/status.js';
import type { ConnectionLink } from '../../leases/connection-link.js';
import type { PoolEvents } from './pool-events.js';
import type { PoolGeneration } from './pool-generation.js';

/** The credentials of one connection to Vault that a pool uses. */
interface Listed<C> {
  readonly generations: Set<PoolGeneration<C>>;
  readonly remove: () => void;
}

/** Lists one pool in the status of each connection that its credentials come from. */
export class PoolListing<C> {
  readonly #events: PoolEvents;
  readonly #rotation: { readonly current: PoolGeneration<C> | undefined };
  readonly #listed = new Map<ConnectionLink, Listed<C>>();

  constructor(events: PoolEvents, rotation: { readonly current: PoolGeneration<C> | undefined }) {
    this.#events = events;
    this.#rotation = rotation;
  }

  add(generation: PoolGeneration<C>): void {
    const { link } = generation;
    if (!link) return;
    let listed = this.#listed.get(link);
    if (!listed) {
      const generations = new Set([generation]);
      listed = { generations, remove: link.addPool(() => this.#status([...generations])) };
      this.#listed.set(link, listed);
    }
    listed.generations.add(generation);
    link.poolChanged();
  }

  /** The pool does not use these credentials any more. */
  remove(generation: PoolGeneration<C>): void {
    const { link } = generation;
    const listed = link && this.#listed.get(link);
    if (!listed?.generations.delete(generation)) return;
    if (listed.generations.size > 0) return link?.poolChanged();
    this.#listed.delete(link as ConnectionLink);
    listed.remove();
  }

  #status(generations: PoolGeneration<C>[]): PoolStatus {
    const current = generations.find((one) => one === this.#rotation.current);
    const { path } = current ?? (generations.at(-1) as PoolGeneration<C>);
    const earlier = generations.filter((one) => one !== current);
    const { pool, lastRefusal, rejectedSince, counters } = this.#events;
    return {
      driver: pool,
      path,
      ...(current && { serial: current.lease.serial }),
      connections: current?.connections.size ?? 0,
      superseded: earlier.reduce((sum, { connections }) => sum + connections.size, 0),
      drains: earlier.flatMap(({ lease: { serial }, connections: { size }, closeAt: until }) =>
        until ? [{ serial, connections: size, until }] : [],
      ),
      ...(lastRefusal && { lastRefusal }),
      ...(rejectedSince && { rejectedSince }),
      counters,
    };
  }
}
