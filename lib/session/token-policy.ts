import type { LoginReason } from '../events/events.js';
import { drainExceedsOverlap, timeUntilTokenReplacement, type DrainView } from '../lifetime/drain-policy.js';
import { renewalDue, usualRenewal } from '../lifetime/renewal-policy.js';
import type { Grant } from '../lifetime/grant.js';

/** What is known of a token when the question is what to do with it next. Times in milliseconds. */
export interface TokenView extends DrainView, Pick<Grant, 'jitter'> {
  /** Requests it may still make; Infinity for any number. */
  uses: number;
  /** The server said that it is dead. */
  dead: boolean;
}

/** What to do next with a token; `in` is milliseconds from now. */
export type TokenStep =
  | { action: 'renew'; in: number; reason: 'renewal' }
  | { action: 'login'; in: number; reason: LoginReason }
  | { action: 'none'; in: number; reason: 'never-expires' };

/**
 * A token is renewed while it can be, and replaced by a new login while there is still time for its leases to be
 * issued again under the new one, and their consumers to drain.
 *
 * @param loginFailed that was tried last: as long as renewals bring something, one that is due comes before the next
 */
export function nextTokenStep(
  token: TokenView,
  renewal: { at: number; jitter: number },
  loginFailed = false,
): TokenStep {
  if (token.dead || token.left <= 0) return { action: 'login', in: 0, reason: 'token-lost' };
  if (token.ttl === Infinity) return { action: 'none', in: Infinity, reason: 'never-expires' };
  const due = renewalDue(token, renewal);
  // Renewing a use-limited token costs a use, and must leave one: the last would take every lease along.
  const canRenew = token.renewable && token.uses > 2;
  const keptAlive = loginFailed && canRenew && due <= 0 && token.maxTtl === 'near';
  if (token.maxTtl !== 'far' && !keptAlive) {
    const wait = drainExceedsOverlap(token, renewal) ? timeUntilTokenReplacement(token) : 0;
    return { action: 'login', in: wait, reason: 'max-ttl' };
  }
  if (canRenew) return { action: 'renew', in: due, reason: 'renewal' };
  const usual = Math.max(0, usualRenewal(token, renewal) - (token.ttl - token.left));
  const wait = drainExceedsOverlap(token, renewal)
    ? Math.min(usual, timeUntilTokenReplacement(token))
    : usual;
  return { action: 'login', in: wait, reason: token.renewable ? 'uses' : 'not-renewable' };
}
