import type { Pool, PoolClient } from 'pg';
import type { LeasedClient } from './leased-client.js';

/** Milliseconds in which a connection is made that nobody waits for, or not waited for either. */
const SOON = 1_000;

/** What pg.Pool keeps to itself: what it does where nothing is idle, and with what was idle for too long. */
interface Internals extends Pool {
  readonly _idle: readonly { client: LeasedClient }[];
  newClient(waiting: { callback: (error: unknown, client?: PoolClient) => void }): void;
  _remove(client: LeasedClient): void;
}

/**
 * Keeps as many connections ready as there were, so that no query has to wait for a login: each that leaves, as it is of
 * an earlier era, is replaced, one at a time. Of the idle ones each leaves when the other is there, as far as there is
 * room.
 */
export class Replacements {
  readonly #pool: Internals;
  /** So many have left, and were not replaced yet. */
  #missing = 0;
  /** They were replaced already, and are still in use. */
  readonly #replaced = new WeakSet<LeasedClient>();
  #busy = false;

  constructor(pool: Pool) {
    this.#pool = pool as Internals;
  }

  /**
   * There are newer credentials.
   *
   * @param doubtful whether those before may be of no use any more, so that nobody gets a connection of theirs
   */
  begin(doubtful: boolean): void {
    for (let old = this.#idle(); old && doubtful; old = this.#idle()) this.#remove(old);
    void this.#replace();
  }

  /** One that was in use was closed. */
  left(client: LeasedClient): void {
    if (this.#replaced.has(client)) return;
    this.#missing++;
    // The pool makes room for it in a moment.
    queueMicrotask(() => void this.#replace());
  }

  async #replace(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    for (let old = this.#idle(); (old || this.#missing > 0) && !this.#pool.ending; old = this.#idle()) {
      if (old && this.#full) this.#remove(old);
      const opened = await this.#openAnother();
      // What cannot be replaced is opened by whoever needs it.
      if (this.#missing > 0) this.#missing = opened ? this.#missing - 1 : 0;
      else if (old && this.#idle(old)) this.#pool._remove(old);
      else if (old) this.#replaced.add(old);
    }
    this.#busy = false;
  }

  /** One of an earlier era that is idle. */
  #idle(one?: LeasedClient): LeasedClient | undefined {
    return this.#pool._idle.find(({ client }) => (one ? client === one : client.superseded))?.client;
  }

  #remove(client: LeasedClient): void {
    this.#pool._remove(client);
    this.#missing++;
  }

  get #full(): boolean {
    return this.#pool.totalCount >= this.#pool.options.max;
  }

  /** False where there is none at once, or where somebody waits, for whom there is always room. */
  #openAnother(): Promise<boolean> {
    if (this.#full || this.#pool.waitingCount > 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), SOON);
      this.#pool.newClient({
        callback: (_error, client) => {
          clearTimeout(timer);
          client?.release();
          resolve(client !== undefined);
        },
      });
    });
  }
}
