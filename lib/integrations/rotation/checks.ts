/**
 * Milliseconds between checks of credentials: doubling, until there are new ones. A statement may never have been
 * allowed, so it is not checked for long; a login that fails has to be understood soon.
 */
const DOUBT = { first: 1_000, last: { statement: 30_000, login: 5_000 } };
/** Milliseconds without a failed check, after which the next one is reported again. */
const FORGOTTEN = 60_000;

/** How often credentials are checked, so that an outage of the database makes no storm of checks. */
export class Checks {
  readonly #next = { statement: start(), login: start() };
  /** One check at a time: a login may take long to fail. */
  running = false;
  #failedAt = -Infinity;

  /** Whether it is time for the next check; that one comes later then. */
  due(about: 'statement' | 'login'): boolean {
    const now = performance.now();
    const next = this.#next[about];
    if (now < next.at) return false;
    next.at = now + next.delay;
    next.delay = Math.min(next.delay * 2, DOUBT.last[about]);
    return true;
  }

  /** Whether a check that failed is to be reported: an outage is reported once. */
  failed(): boolean {
    const now = performance.now();
    const report = now - this.#failedAt > FORGOTTEN;
    this.#failedAt = now;
    return report;
  }
}

function start() {
  return { at: 0, delay: DOUBT.first };
}
