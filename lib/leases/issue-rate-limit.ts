const WINDOW = 60_000;
/** More than that many in a minute is no rotation any more, but a fault: each one is a user in somebody's database. */
const MOST = 60;

/** What to warn of where it holds something back. */
export const TOO_MANY =
  'As many as may be within a minute were issued, each of which was over at once: the next ones wait. Look for what ' +
  'revokes them at the server, or refuses them.';

/** Keeps a path from issuing without end, whatever goes wrong. */
export class IssueRateLimit {
  #times: readonly number[] = [];

  /** Milliseconds to wait before the next issue. */
  wait(now: number): number {
    const first = this.#times.at(-MOST);
    return first === undefined ? 0 : Math.max(0, first + WINDOW - now);
  }

  issued(now: number): void {
    // As long as it has to be: most paths are issued once in a while, and there may be thousands.
    this.#times = [...this.#times.slice(1 - MOST), now];
  }
}
