import type { LoginReason } from '../events/events.js';

/** What is known of a token when the question is what to do with it next. Times in milliseconds. */
export interface TokenView {
  /** Granted TTL; Infinity for a token that never expires. */
  granted: number;
  /** Left of it. */
  left: number;
  renewable: boolean;
  /** The last renewal was granted less than the one before: the max TTL is near. */
  capped: boolean;
  /** Requests it may still make; Infinity for any number. */
  uses: number;
  /** The server said that it is dead. */
  dead: boolean;
  /** Random, -1 to 1, drawn once for each grant. */
  jitter: number;
}

/** What to do next with a token; `in` is milliseconds from now. */
export type TokenStep =
  | { action: 'renew'; in: number; reason: 'renewal' }
  | { action: 'login'; in: number; reason: LoginReason }
  | { action: 'none'; in: number; reason: 'never-expires' };

/**
 * A token is renewed while it can be, and replaced by a new login while there is still time for its leases to be
 * issued again under the new one.
 */
export function nextTokenStep(token: TokenView, renewal: { at: number; jitter: number }): TokenStep {
  if (token.dead || token.left <= 0) return { action: 'login', in: 0, reason: 'token-lost' };
  if (token.granted === Infinity) return { action: 'none', in: Infinity, reason: 'never-expires' };
  if (token.capped) return { action: 'login', in: 0, reason: 'max-ttl' };
  const fraction = renewal.at + renewal.jitter * token.jitter;
  const due = Math.max(0, token.granted * fraction - (token.granted - token.left));
  if (!token.renewable) return { action: 'login', in: due, reason: 'not-renewable' };
  // Renewing a use-limited token costs a use, and must leave one: the last would take every lease along.
  if (token.uses <= 2) return { action: 'login', in: due, reason: 'uses' };
  return { action: 'renew', in: due, reason: 'renewal' };
}

/** Whether a renewal was granted less than before: the max TTL is near, and the next one would bring less still. */
export function isCapped(before: number, granted: number, warnings: readonly string[]): boolean {
  return granted <= before - 1_000 || (granted < before && warnings.some((text) => /capped/.test(text)));
}
