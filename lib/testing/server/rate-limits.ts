import type { ServerTime } from './server-time.js';
import { Refusal } from './refusal.js';

/**
 * Limit of the number of requests in each interval, below a path.
 *
 * @publicApi
 */
export interface RateLimit {
  /** Requests in each interval. */
  rate: number;
  /** Seconds (default 1). */
  interval?: number;
  /** Mount or path that it limits, such as `database` (default: all paths). */
  path?: string;
  /** Whether refusals carry `Retry-After`, as with `enable_rate_limit_response_headers` (default false). */
  retryAfter?: boolean;
}

/** Paths that no limit counts. */
const EXEMPT = new Set(['sys/health', 'sys/seal-status', 'sys/unseal', 'sys/seal', 'sys/leader', 'sys/init']);

/** Refusal of a request above the limit, with the time to retry after where the limit reports it. */
export class RateLimited extends Refusal {
  constructor(
    path: string,
    /** Seconds. */
    readonly retryAfter: number | undefined,
  ) {
    super(429, `request path "${path}": rate limit quota exceeded`);
  }
}

/** The rate limit quotas of a server. */
export class RateLimits {
  readonly quotas = new Map<string, RateLimit>();
  readonly #windows = new Map<RateLimit, { until: number; left: number }>();
  readonly #time: ServerTime;

  constructor(time: ServerTime) {
    this.#time = time;
  }

  /** Counts a request; throws `RateLimited` above the limit. */
  count(path: string): void {
    if (this.quotas.size === 0 || EXEMPT.has(path)) return;
    const quota = [...this.quotas.values()]
      .filter((one) => !one.path || path === one.path || path.startsWith(`${one.path.replace(/\/$/, '')}/`))
      .sort((a, b) => (b.path?.length ?? 0) - (a.path?.length ?? 0))[0];
    if (!quota) return;
    const { now } = this.#time;
    let window = this.#windows.get(quota);
    if (!window || window.until <= now) {
      window = { until: now + (quota.interval ?? 1) * 1000, left: quota.rate };
      this.#windows.set(quota, window);
    }
    if (window.left-- > 0) return;
    throw new RateLimited(path, quota.retryAfter ? Math.ceil((window.until - now) / 1000) : undefined);
  }
}
