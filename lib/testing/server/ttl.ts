import { formatTtl, seconds } from './duration.js';
import { Refusal } from './refusal.js';

/** Default and maximum TTL of the server, in seconds: 32 days. */
export const SYSTEM_TTL = 2_764_800;

/** Bounds of the TTL of a token or lease in seconds; 0 is no bound. */
export interface TtlBounds {
  increment?: number;
  /** TTL without an increment. */
  ttl?: number;
  period?: number;
  maxTtl?: number;
  explicitMaxTtl?: number;
  /** Milliseconds. */
  issuedAt: number;
}

/**
 * Grants a TTL in seconds: the requested one, counted from now, capped at the max TTL since the issue. Like the server,
 * it counts in whole seconds.
 */
export function grantedTtl(bounds: TtlBounds, now: number): { ttl: number; warnings: string[] } {
  const { increment = 0, period = 0, maxTtl = 0, explicitMaxTtl = 0 } = bounds;
  const warnings: string[] = [];
  const max = Math.min(SYSTEM_TTL, maxTtl || Infinity, explicitMaxTtl || Infinity);
  let ttl = increment || bounds.ttl || SYSTEM_TTL;
  let last = max;
  if (period > 0) {
    ttl = Math.min(period, max);
    last = explicitMaxTtl || Infinity;
  }
  const left = Math.floor(bounds.issuedAt / 1000) + last - Math.floor(now / 1000);
  if (left < 0) throw new Error('past the max TTL, cannot renew');
  if (ttl > left) {
    warnings.push(
      `TTL of "${formatTtl(ttl)}" exceeded the effective max_ttl of "${formatTtl(left)}"; TTL value is capped accordingly`,
    );
    ttl = left;
  }
  return { ttl, warnings };
}

/** Reads a duration in a field of a body, in seconds. */
export function secondsField(body: Record<string, unknown>, field: string): number {
  const failed = (why: string) =>
    new Refusal(400, `Field validation failed: error converting input for field "${field}": ${why}`);
  let value: number;
  try {
    value = seconds(body[field]);
  } catch (error) {
    throw failed((error as Error).message);
  }
  if (value < 0) throw failed(`cannot provide negative value '${value}'`);
  return value;
}
