import type { TransportRequest } from '../../lib/client/transport.types.js';
import type { Clock } from '../../lib/clock/clock.js';

type Kind = 'login' | 'issue' | 'other';

function kindOf({ path }: TransportRequest): Kind {
  if (path.includes('/creds/')) return 'issue';
  return /^\/v1\/auth\/[^/]+\/login$/.test(path) ? 'login' : 'other';
}

/** Counts the requests to the server, by seconds of the clock. */
export class Tally {
  /** Sent requests, those to a stopped server included. */
  readonly sent: number[] = [];
  /** Requests that found no server. */
  readonly refused: number[] = [];
  /** Successful requests. */
  readonly answered: Record<Kind, number[]> = { login: [], issue: [], other: [] };
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  onSent(): void {
    this.#count(this.sent);
  }

  onRefused(): void {
    this.#count(this.refused);
  }

  onAnswer(request: TransportRequest, status: number): void {
    if (status < 300) this.#count(this.answered[kindOf(request)]);
  }

  #count(counts: number[]): void {
    const second = Math.floor(this.#clock.monotonic() / 1000);
    while (counts.length <= second) counts.push(0);
    counts[second] = (counts[second] ?? 0) + 1;
  }
}

/** The counts of the seconds from `from` to `to`, including seconds without requests. */
export function between(counts: readonly number[], from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => counts[from + index] ?? 0);
}

export const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
export const most = (counts: readonly number[]) => counts.reduce((high, count) => Math.max(high, count), 0);

/** The largest sum of so many consecutive seconds. */
export function mostWithin(counts: readonly number[], seconds: number): number {
  let running = 0;
  let high = 0;
  for (const [index, count] of counts.entries()) {
    running += count - (counts[index - seconds] ?? 0);
    high = Math.max(high, running);
  }
  return high;
}

/** Peak over mean of requests at random times: the median of many such runs. */
export function chanceAlone(mean: number, seconds: number): number {
  let share = Math.exp(-mean);
  let upTo = share;
  let peak = 0;
  while (upTo ** seconds < 0.5) {
    share *= mean / ++peak;
    upTo += share;
  }
  return peak / mean;
}
