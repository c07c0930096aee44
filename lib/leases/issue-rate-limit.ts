const WINDOW = 60_000;
/** Issues allowed per path and minute. More is a malfunction: each one creates a database user. */
const MAX_ISSUES = 60;

/** The warning if an issue has to wait. */
export const ISSUE_LIMIT_WARNING =
  `${MAX_ISSUES} leases were issued within a minute, and each ended at once. The next issue waits. Find out what ` +
  'revokes the leases at the server, or why they are rejected.';

/** Limits the rate of issues of a path, whatever fault causes them. */
export class IssueRateLimit {
  #times: readonly number[] = [];

  /** Milliseconds to wait before the next issue. */
  wait(now: number): number {
    const first = this.#times.at(-MAX_ISSUES);
    return first === undefined ? 0 : Math.max(0, first + WINDOW - now);
  }

  issued(now: number): void {
    // No longer than necessary: there may be thousands of paths, and most have few issues.
    this.#times = [...this.#times.slice(1 - MAX_ISSUES), now];
  }
}
