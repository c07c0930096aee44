import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import { background } from '../../clock/background.js';
import type { LeasedClient } from './leased-client.js';
import { inBoundedTime } from './connection-timeout.js';

/** Milliseconds after which a connection that nobody waits for is not waited for either. */
const SOON = 1_000;
/** Milliseconds between attempts. */
const PAUSE = 200;
/** Milliseconds in which idle connections are handed over, at most: what still borrows one has so much less to drain. */
const HANDOVER = 5_000;

/** What pg.Pool keeps to itself: what it does where nothing is idle, and with what was idle for too long. */
interface Internals extends Pool {
  readonly _idle: readonly { client: LeasedClient }[];
  newClient(waiting: { callback: (error: unknown, client?: PoolClient) => void }): void;
  _remove(client: LeasedClient): void;
}

/**
 * Keeps as many connections ready as there were, so that no query has to wait for a login: those that leave, as they are
 * of an earlier era, are replaced, one at a time. Of the idle ones each leaves when another is there, as far as there is
 * room.
 */
export class Replacements {
  readonly #pool: Internals;
  readonly #handover: number;
  /** So many there were when newer credentials came. */
  #wanted = 0;
  /** So many left since, for each of which one more is to be opened. */
  #left = 0;
  /** Idle ones of an earlier era are closed by then. */
  #until = 0;
  #busy = false;

  /** @param drain milliseconds that connections may be in use once there are newer credentials */
  constructor(pool: Pool, drain: number) {
    this.#pool = pool as Internals;
    this.#handover = Math.min(HANDOVER, drain / 4);
  }

  /**
   * There are newer credentials.
   *
   * @param doubtful whether those before may be of no use any more, so that nobody gets a connection of theirs
   */
  begin(doubtful: boolean): void {
    // With those that an earlier rotation has not opened again yet.
    this.#wanted = this.#pool.totalCount + this.#left;
    this.#until = performance.now() + (doubtful ? 0 : this.#handover);
    if (doubtful) this.#removeIdle();
    this.#run();
  }

  /** One that was in use is closed. */
  left(): void {
    this.#left++;
    // The pool makes room for it in a moment.
    queueMicrotask(() => this.#run());
  }

  #run(): void {
    if (this.#busy) return;
    this.#busy = true;
    void background(() =>
      this.#replace()
        // Listeners of the application may throw.
        .catch(() => undefined)
        .finally(() => (this.#busy = false)),
    );
  }

  async #replace(): Promise<void> {
    while (!this.#pool.ending) {
      const old = this.#idle();
      if (this.#left > 0) {
        // Who waited meanwhile has opened what was needed. What fails is opened by whoever needs it.
        if (this.#pool.totalCount < this.#wanted) await this.#openAnother();
        this.#left--;
      } else if (!old) {
        return;
      } else if (performance.now() >= this.#until) {
        this.#removeIdle();
      } else if (this.#full) {
        this.#removeFirst(old);
      } else if (!(await this.#openAnother())) {
        await sleep(PAUSE, undefined, { ref: false });
      } else if (this.#pool._idle.some(({ client }) => client === old)) {
        this.#pool._remove(old);
      }
    }
  }

  /** One of an earlier era. */
  #idle(): LeasedClient | undefined {
    return this.#pool._idle.find(({ client }) => client.superseded)?.client;
  }

  #removeIdle(): void {
    for (let old = this.#idle(); old; old = this.#idle()) this.#removeFirst(old);
  }

  /** Before there is another. */
  #removeFirst(old: LeasedClient): void {
    this.#pool._remove(old);
    this.#left++;
  }

  get #full(): boolean {
    return this.#pool.totalCount >= this.#pool.options.max;
  }

  /** Whether there is one soon; not where there is no room, nor where somebody waits, for whom there always is. */
  async #openAnother(): Promise<boolean> {
    const pool = this.#pool;
    if (this.#full || pool.waitingCount > pool.idleCount) return false;
    const opened = new Promise<PoolClient>((resolve, reject) => {
      const callback = (error: unknown, client?: PoolClient) =>
        client ? resolve(client) : reject(error as Error);
      inBoundedTime(pool, () => pool.newClient({ callback }));
    });
    // After what the application asks of it in the event 'connect'.
    const ready = opened.then((client) =>
      client.query('').then(
        () => client.release(),
        (error: Error) => client.release(error),
      ),
    );
    return Promise.race([
      ready.then(
        () => true,
        () => false,
      ),
      sleep(SOON, false, { ref: false }),
    ]);
  }
}
