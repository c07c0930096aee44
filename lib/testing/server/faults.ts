import { matcher, type RequestMatcher } from './request-log.js';

/**
 * Requests that a fault applies to: the next n, all that match until the fault is ended, or the next n that match.
 *
 * @publicApi
 */
export type RequestSelector = number | RequestMatcher | { times?: number; match?: RequestMatcher };

/** One kind of failure. */
export type Fault =
  | { kind: 'cut' }
  | { kind: 'drop' }
  | { kind: 'answer'; status: number; body: unknown; headers: Record<string, string> }
  | { kind: 'delay'; milliseconds: number; before: boolean };

interface ActiveFault {
  fault: Fault;
  left: number;
  matches: (request: { method: string; path: string }) => boolean;
}

/** Faults that apply to requests to come. */
export class Faults {
  readonly #active = new Set<ActiveFault>();

  /** Returns a function that ends the fault. */
  add(fault: Fault, selector: RequestSelector = {}): () => void {
    const { times = Infinity, match = () => true } =
      typeof selector === 'number'
        ? { times: selector }
        : isMatcher(selector)
          ? { match: selector }
          : selector;
    const active: ActiveFault = { fault, left: times, matches: matcher(match) };
    this.#active.add(active);
    return () => this.#active.delete(active);
  }

  clear(): void {
    this.#active.clear();
  }

  /** Faults of one request: all delays, and the first of the others. */
  take(request: { method: string; path: string }): { delays: Fault[]; fault: Fault | undefined } {
    if (this.#active.size === 0) return NONE;
    const delays: Fault[] = [];
    let fault: Fault | undefined;
    for (const active of this.#active) {
      const delay = active.fault.kind === 'delay';
      if ((fault && !delay) || !active.matches(request)) continue;
      if (delay) delays.push(active.fault);
      else fault = active.fault;
      if (--active.left <= 0) this.#active.delete(active);
    }
    return { delays, fault };
  }
}

const NONE = { delays: [], fault: undefined };

function isMatcher(selector: Exclude<RequestSelector, number>): selector is RequestMatcher {
  return typeof selector !== 'object' || selector instanceof RegExp;
}
