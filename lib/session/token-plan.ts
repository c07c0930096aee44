import type { Clock } from '../clock/clock.js';
import type { VaultToken } from './vault-token.js';
import { nextTokenStep, type TokenStep } from './token-policy.js';

/** How long before its end a renewal that keeps failing gives way to a new login, as a share of the TTL. */
const LOGIN_MARGIN = 0.2;
/** The same where the server seems to be away: it may be the renewals alone that do not get there. */
const LAST_MARGIN = 0.05;

/** What matters besides the token itself. */
export interface TokenCircumstances {
  tries: { readonly count: number; readonly error: unknown; readonly gotNoResponse: boolean };
  /** What was tried last was a login, and brought no new token. */
  loginFailed: boolean;
}

/** What to do next with the token that is in use, after failures and surprises, too. */
export function planToken(
  current: VaultToken,
  { tries, loginFailed }: TokenCircumstances,
  clock: Clock,
  renewal: { at: number; jitter: number },
): TokenStep {
  const { dead, renewable, grant } = current;
  const left = current.left(clock);
  // A timer that came late, or a clock that was set: whether it still lives is asked, once, and not assumed.
  const surprised = left <= 0 && !dead && renewable && grant.maxTtl === 'far' && tries.count === 0;
  if (surprised) return { action: 'renew', in: 0, reason: 'renewal' };
  const step = nextTokenStep(current.view(clock), renewal, loginFailed);
  // One that was wanted before its time, and failed, is tried again all the same.
  const wanted = loginFailed && tries.error !== undefined;
  if (step.action === 'login' && wanted) return { ...step, in: 0 };
  // While the server is away, a login would fail as well; once it is back, a renewal spares every lease.
  const margin = grant.ttl * (tries.gotNoResponse ? LAST_MARGIN : LOGIN_MARGIN);
  const late = tries.count > 0 && !loginFailed && left < margin;
  return step.action === 'renew' && late ? { action: 'login', in: 0, reason: 'renewal-failing' } : step;
}
