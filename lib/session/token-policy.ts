import type { LoginReason } from '../events/events.js';
import { drainExceedsOverlap, timeUntilTokenReplacement, type DrainView } from '../lifetime/drain-policy.js';
import { renewalDue, usualRenewal } from '../lifetime/renewal-policy.js';
import type { Grant } from '../lifetime/grant.js';

/** The facts about a token on which its next step depends. Times in milliseconds. */
export interface TokenView extends DrainView, Pick<Grant, 'jitter'> {
  /** Requests it may still make; Infinity for any number. */
  uses: number;
  /** Whether the server has reported that it is dead. */
  dead: boolean;
  /** Whether its deadline has passed, dead or not. */
  expired: boolean;
}

/** The next step of a token; `in` is milliseconds from now. */
export type TokenStep =
  | { action: 'renew'; in: number; reason: 'renewal' }
  | { action: 'login'; in: number; reason: LoginReason }
  | { action: 'none'; in: number; reason: 'never-expires' };

/** The failed attempts before a step. */
export interface TokenAttempts {
  retry: { readonly count: number; readonly error: unknown; readonly gotNoResponse: boolean };
  /** The last attempt was a login, and brought no new token. */
  loginFailed: boolean;
}

/** Share of the TTL left at which a login replaces a renewal that keeps failing. */
const LOGIN_MARGIN = 0.2;
/** The same while no server answers: it may be that only the renewals are lost. */
const LAST_MARGIN = 0.05;

/** The next step of the token in use, also after failures and late timers. */
export function planToken(
  token: TokenView,
  { retry, loginFailed }: TokenAttempts,
  renewal: { at: number; jitter: number },
): TokenStep {
  const { dead, renewable, left, maxTtl, ttl } = token;
  // After a late timer, or a clock that was set, the server is asked once whether the token is alive.
  const verifiable = left <= 0 && !dead && renewable && maxTtl === 'far' && retry.count === 0;
  if (verifiable) return { action: 'renew', in: 0, reason: 'renewal' };
  const step = nextTokenStep(token, renewal, loginFailed);
  // A login that was asked for before its time, and failed, is repeated all the same.
  if (step.action === 'login' && loginFailed && retry.error !== undefined) return { ...step, in: 0 };
  // While no server answers, a login would fail as well; afterwards a renewal spares every lease.
  const margin = ttl * (retry.gotNoResponse ? LAST_MARGIN : LOGIN_MARGIN);
  const late = retry.count > 0 && !loginFailed && left < margin;
  return step.action === 'renew' && late ? { action: 'login', in: 0, reason: 'renewal-failing' } : step;
}

/**
 * A token is renewed while it can be, and replaced by a new login while there is still time for its leases to be
 * issued again under the new one, and their consumers to drain.
 *
 * @param loginFailed the last attempt was a login and failed; while the TTL can still be extended, a due renewal goes first
 */
export function nextTokenStep(
  token: TokenView,
  renewal: { at: number; jitter: number },
  loginFailed = false,
): TokenStep {
  if (token.dead || token.left <= 0)
    return { action: 'login', in: 0, reason: token.expired ? 'expired' : 'token-lost' };
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
