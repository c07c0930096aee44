import { randomUUID } from 'node:crypto';
import { after, type Deadline } from '../clock/deadline.js';

/** Milliseconds; an older answer has no valid content. */
const OLDEST = 366 * 86_400_000;
/** Margin in milliseconds, as caches round the age of their answers to seconds. */
const ROUNDING = 1_000;

/** Whether a cache answered in the server's place, and when the answer was made. */
export function madeAt(
  headers: Readonly<Record<string, unknown>>,
  sentAt: Deadline,
): { cached: boolean; sentAt: Deadline } {
  const { age, 'x-cache': how } = headers;
  const seconds = typeof age === 'string' && /^\s*\d+\s*$/.test(age) ? Number(age) : 0;
  // Vault's and OpenBao's agents and proxies write HIT or MISS, others "Hit from …".
  const cached = seconds > 0 || (typeof how === 'string' && /\bhit\b/i.test(how));
  return cached
    ? { cached, sentAt: after(sentAt, -Math.min(seconds * 1_000 + ROUNDING, OLDEST)) }
    : { cached, sentAt };
}

/**
 * Headers of a request that no cache may answer. The caches of Vault's and OpenBao's agents ignore `Cache-Control`:
 * they treat two requests as equal if all headers and the body are, so a unique header is added. Names in lower case,
 * as they replace given headers.
 */
export function pastCaches(): Record<string, string> {
  return { 'cache-control': 'no-cache', 'x-request-id': randomUUID() };
}
