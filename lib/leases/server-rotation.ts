import type { Clock } from '../clock/clock.js';
import { after, now, remaining, type Deadline } from '../clock/deadline.js';
import type { Life } from './engine.js';

/** Milliseconds after which a rotation that was due has failed: servers look each 5 s, and then ask the database. */
const PATIENCE = 15_000;

/**
 * When the server is to rotate a secret without a lease, and when to read it again. The server does so some seconds late;
 * by a schedule, its answers count to the next time already then, so the time that an earlier one told is kept.
 */
export class ServerRotation {
  #due: Deadline;
  #readAt: Deadline;

  constructor({ rotatesIn = Infinity, confirmIn = Infinity }: Life, sentAt: Deadline, random: () => number) {
    this.#due = after(sentAt, rotatesIn);
    this.#readAt = after(sentAt, Math.min(rotatesIn + 500 * (1 + random()), confirmIn));
  }

  /** Milliseconds until it is to be read again. */
  readIn(clock: Clock): number {
    return remaining(this.#readAt, clock);
  }

  /**
   * The same was read again: where the rotation was due, it is yet to come.
   *
   * @returns milliseconds for which it has been due, where it is so late that it has failed; 0 otherwise
   */
  unmoved(next: ServerRotation, clock: Clock, random: () => number): number {
    const late = -remaining(this.#due, clock);
    if (late < 0) {
      this.#due = next.#due;
      this.#readAt = after(next.#due, 500 * (1 + random()));
      return 0;
    }
    this.#readAt = after(now(clock), late < PATIENCE ? 1_000 * (1 + random()) : 0);
    return late < PATIENCE ? 0 : late;
  }
}
