import type { PoolCounters } from '../../events/pool-events.js';
import type { PoolEvents } from './pool-events.js';

/**
 * The members that every rotating pool or client adds to the class of its driver.
 *
 * @publicApi
 */
export interface RotatingPool {
  /** Number of events of each type. */
  readonly counters: PoolCounters;
  /** Number of open connections of earlier credentials; for MongoDB, of clients. */
  readonly supersededCount: number;
  /**
   * Resolves once the first credentials have logged in; if they do not, it rejects and ends the pool.
   *
   * @throws VaultError `VAULT_CREDENTIALS_REJECTED` if the server rejects them; `VAULT_CLOSED` if the stream completed
   * before there were any, or before PostgreSQL answered in time; and any error of the stream
   */
  ready(): Promise<void>;
}

/** The members of `PoolFacade` that do not depend on the driver. */
interface Facade {
  readonly events: PoolEvents;
  readonly rotation: { readonly supersededCount: number };
  firstLoginError(error: unknown): unknown;
}

/** The first login of a pool, and its end if that login fails. */
interface Start {
  facade: Facade;
  login: () => Promise<unknown>;
  end: () => unknown;
}

const STARTS = new WeakMap<object, Start>();
const startOf = (pool: object) => STARTS.get(pool) as Start;

// A mixin needs a constructor of this form.
type Constructor<T> = new (...args: any[]) => T;

/** Adds the members of {@link RotatingPool} to the class of a driver. */
export function rotating<B extends Constructor<object>>(Base: B): B & Constructor<RotatingPool> {
  return class extends Base implements RotatingPool {
    get counters(): PoolCounters {
      return startOf(this).facade.events.counters;
    }

    get supersededCount(): number {
      return startOf(this).facade.rotation.supersededCount;
    }

    async ready(): Promise<void> {
      const { facade, login, end } = startOf(this);
      try {
        await login();
      } catch (error) {
        await end();
        throw facade.firstLoginError(error);
      }
    }
  };
}

/** Called in the constructor of such a class. */
export function startWith(pool: RotatingPool, facade: Facade, start: Omit<Start, 'facade'>): void {
  STARTS.set(pool, { facade, ...start });
}
