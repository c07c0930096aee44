const WINDOW = 60_000;
/** Issues allowed per path and minute, whatever fault causes them. More is a malfunction: each one creates a database user. */
const MAX_ISSUES = 60;

/** The warning if an issue has to wait. */
export const ISSUE_LIMIT_WARNING =
  `${MAX_ISSUES} leases were issued within a minute, and each ended at once. The next issue waits. Find out what ` +
  'revokes the leases at the server, or why they are rejected.';

/** The monotonic times of the last issues of a path. */
export type Issues = readonly number[];

/** Milliseconds to wait before the next issue. */
export function waitToIssue(issues: Issues, now: number): number {
  const first = issues.at(-MAX_ISSUES);
  return first === undefined ? 0 : Math.max(0, first + WINDOW - now);
}

/** After one more issue. No longer than necessary: there may be thousands of paths, and most have few issues. */
export function withIssue(issues: Issues, now: number): Issues {
  return issues.slice(1 - MAX_ISSUES).concat(now);
}
