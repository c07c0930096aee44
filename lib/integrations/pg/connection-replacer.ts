import type { Pool, PoolClient } from 'pg';
import { background } from '../../clock/background.js';
import { sleep, type Clock } from '../../clock/clock.js';
import { onServer } from '../rotation/login-timeout.js';
import { withConnectionTimeout } from './connection-timeout.js';
import type { LeasedClient } from './leased-client.js';

/** Milliseconds to wait for a new connection before the next step. */
const OPEN_TIMEOUT = 1_000;
/** Milliseconds between attempts. */
const RETRY_PAUSE = 200;
/**
 * Milliseconds for the hand-over of idle connections, at most: a connection that is lent late has that much less to
 * drain.
 */
const MAX_HANDOVER = 5_000;

/** Private members of pg.Pool: how it opens a connection, and how it removes one that was idle for too long. */
interface PoolInternals extends Pool {
  readonly _idle: readonly { client: LeasedClient }[];
  newClient(waiting: { callback: (error: unknown, client?: PoolClient) => void }): void;
  _remove(client: LeasedClient): void;
}

/**
 * Replaces connections of earlier credentials one at a time, so that the pool keeps its size and no query waits for a
 * login. An idle connection is closed when its replacement is open, as far as `max` has room.
 */
export class ConnectionReplacer {
  readonly #pool: PoolInternals;
  readonly #handover: number;
  readonly #clockOf: () => Clock;
  /** Size of the pool when the newer credentials came. */
  #targetSize = 0;
  /** Connections closed since then, and not replaced yet. */
  #missing = 0;
  /** Monotonic time at which the remaining idle connections of earlier credentials are closed. */
  #handoverEnd = 0;
  #running = false;

  /**
   * @param drain milliseconds that a connection may stay in use after newer credentials came
   * @param clockOf the clock of the current credentials
   */
  constructor(pool: Pool, drain: number, clockOf: () => Clock) {
    this.#pool = pool as PoolInternals;
    this.#handover = Math.min(MAX_HANDOVER, drain / 4);
    this.#clockOf = clockOf;
  }

  /**
   * Starts to replace the connections, as newer credentials are in use.
   *
   * @param userMayBeDropped closes idle connections at once, as no caller should get one that may not work
   */
  start(userMayBeDropped: boolean): void {
    // Includes connections that an earlier rotation closed and did not replace yet.
    this.#targetSize = this.#pool.totalCount + this.#missing;
    this.#handoverEnd = this.#clockOf().monotonic() + (userMayBeDropped ? 0 : this.#handover);
    if (userMayBeDropped) this.#removeIdle();
    this.#run();
  }

  /** A connection that was in use is closed. */
  connectionClosed(): void {
    this.#missing++;
    // The pool removes it later in this tick.
    queueMicrotask(() => this.#run());
  }

  #run(): void {
    if (this.#running) return;
    this.#running = true;
    void background(() =>
      this.#replace()
        // A listener of the application may throw.
        .catch(() => undefined)
        .finally(() => (this.#running = false)),
    );
  }

  async #replace(): Promise<void> {
    while (!this.#pool.ending) {
      const superseded = this.#findSuperseded();
      if (this.#missing > 0) {
        // Callers may have opened enough connections by now. After a failure, the next caller opens its own.
        if (this.#pool.totalCount < this.#targetSize) await this.#openAnother();
        this.#missing--;
      } else if (!superseded) {
        return;
      } else if (this.#clockOf().monotonic() >= this.#handoverEnd) {
        this.#removeIdle();
      } else if (this.#full) {
        this.#removeFirst(superseded);
      } else if (!(await this.#openAnother())) {
        await sleep(this.#clockOf(), RETRY_PAUSE, undefined, false);
      } else if (this.#pool._idle.some(({ client }) => client === superseded)) {
        this.#pool._remove(superseded);
      }
    }
  }

  /** An idle connection of earlier credentials. */
  #findSuperseded(): LeasedClient | undefined {
    return this.#pool._idle.find(({ client }) => client.superseded)?.client;
  }

  #removeIdle(): void {
    for (let one = this.#findSuperseded(); one; one = this.#findSuperseded()) this.#removeFirst(one);
  }

  /** Removes a connection before its replacement is open. */
  #removeFirst(client: LeasedClient): void {
    this.#pool._remove(client);
    this.#missing++;
  }

  get #full(): boolean {
    return this.#pool.totalCount >= this.#pool.options.max;
  }

  /**
   * Opens a connection unless the pool is full, or opens one for a waiting caller. Returns whether it is open in
   * time.
   */
  async #openAnother(): Promise<boolean> {
    const pool = this.#pool;
    if (this.#full || pool.waitingCount > pool.idleCount) return false;
    const opened = new Promise<PoolClient>((resolve, reject) => {
      const callback = (error: unknown, client?: PoolClient) =>
        client ? resolve(client) : reject(error as Error);
      withConnectionTimeout(pool, () => pool.newClient({ callback }));
    });
    // An empty query waits for the queries that the application sends in its 'connect' listener.
    const ready = opened.then((client) =>
      client.query('').then(
        () => client.release(),
        (error: Error) => client.release(error),
      ),
    );
    const open = ready.then(
      () => true,
      () => false,
    );
    const clock = this.#clockOf();
    const late = sleep(clock, OPEN_TIMEOUT, undefined, false).then(() => false);
    return Promise.race([onServer(open, clock), late]);
  }
}
