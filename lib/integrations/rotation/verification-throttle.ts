import type { Clock } from '../../clock/clock.js';

/** The error that makes a pool verify its credentials: of a statement, or of a login. */
export type VerificationCause = 'statement' | 'login';

/**
 * Milliseconds between verifications of the same credentials; the pause doubles from `first`. An application may run a
 * statement that was never allowed again and again, so statements cause fewer verifications than failed logins.
 */
const DELAYS = { first: 1_000, last: { statement: 30_000, login: 5_000 } };
/** Milliseconds without a failed verification after which the next failure is reported again. */
const OUTAGE_FORGOTTEN_AFTER = 60_000;

/**
 * Limits how often the credentials of one generation are verified, so that an outage of the database causes no flood
 * of logins.
 */
export class VerificationThrottle {
  readonly #clock: Clock;
  readonly #next = { statement: start(), login: start() };
  /** A verification is under way; a login may take long to fail, so there is one at a time. */
  running = false;
  /** Rejected credentials are tried again from time to time. */
  retrying = false;
  #failedAt = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether a verification may run now; if so, the pause before the next one starts. */
  due(cause: VerificationCause): boolean {
    const now = this.#clock.monotonic();
    const next = this.#next[cause];
    if (now < next.at) return false;
    next.at = now + next.delay;
    next.delay = Math.min(next.delay * 2, DELAYS.last[cause]);
    return true;
  }

  /** Records a failed verification. Returns whether to report it: an outage is reported once. */
  recordFailure(): boolean {
    const now = this.#clock.monotonic();
    const report = now - this.#failedAt > OUTAGE_FORGOTTEN_AFTER;
    this.#failedAt = now;
    return report;
  }
}

function start() {
  return { at: -Infinity, delay: DELAYS.first };
}
