import type { Clock, Times } from '../clock/clock.js';
import { after, now, remaining, type Deadline } from '../clock/deadline.js';
import type { Life } from '../engines/engine.js';

/** Milliseconds after which a due rotation counts as failed: servers check every 5 s, then contact the database. */
const OVERDUE_AFTER = 15_000;

/**
 * The time at which the server rotates a secret without a lease, and the time to read it again. The server rotates some
 * seconds late. With a schedule, its answers then already count to the next rotation, so the time from an earlier
 * answer is kept.
 */
export class ServerRotation {
  #due: Deadline;
  #readAt: Deadline;

  constructor({ rotatesIn = Infinity, confirmIn = Infinity }: Life, sentAt: Deadline, random: () => number) {
    this.#due = after(sentAt, rotatesIn);
    this.#readAt = after(sentAt, Math.min(rotatesIn + 500 * (1 + random()), confirmIn));
  }

  /** Milliseconds until the next read. */
  readIn(clock: Times): number {
    return remaining(this.#readAt, clock);
  }

  /**
   * The same data was read again. If the rotation was due, the server has not made it yet.
   *
   * @returns milliseconds since the due time if the rotation counts as failed; 0 otherwise
   */
  unmoved(next: ServerRotation, clock: Clock, random: () => number): number {
    const late = -remaining(this.#due, clock);
    if (late < 0) {
      this.#due = next.#due;
      this.#readAt = after(next.#due, 500 * (1 + random()));
      return 0;
    }
    this.#readAt = after(now(clock), late < OVERDUE_AFTER ? 1_000 * (1 + random()) : 0);
    return late < OVERDUE_AFTER ? 0 : late;
  }
}
