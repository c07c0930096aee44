import { Refusal } from '../server/refusal.js';
import type { ServerTime } from '../server/server-time.js';

const THRESHOLD = 5;
/** Milliseconds: of a lock-out, and without a failure until the count begins anew. */
const DURATION = 15 * 60_000;

interface Failures {
  count: number;
  last: number;
  lockedUntil: number;
}

/** Failed logins of the users or roles of one method. The server counts only those of names that exist. */
export class LockOut {
  readonly #time: ServerTime;
  readonly #failures = new Map<string, Failures>();

  constructor(time: ServerTime) {
    this.#time = time;
  }

  /** Refuses a login of a name that is locked out, with right inputs, too. */
  check(name: string): void {
    if ((this.#failures.get(name)?.lockedUntil ?? 0) > this.#time.now)
      throw new Refusal(403, 'permission denied');
  }

  failed(name: string): void {
    const { now } = this.#time;
    const known = this.#failures.get(name);
    const count = known && known.lockedUntil <= 0 && now - known.last < DURATION ? known.count + 1 : 1;
    this.#failures.set(name, { count, last: now, lockedUntil: count >= THRESHOLD ? now + DURATION : 0 });
  }

  succeeded(name: string): void {
    this.#failures.delete(name);
  }
}
