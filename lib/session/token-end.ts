import type { ApiRequest } from '../client/api.types.js';
import type { VaultToken } from './vault-token.js';

/**
 * How a token ends that nothing uses any more: the server is asked to `revoke` it, with all it leased, unless it is not
 * ours, cannot be revoked, or is over.
 *
 * @param revoke as `shutdown.revoke`
 */
export function howToEnd(
  { own, revocable, dead, rejectedOnArrival }: VaultToken,
  revoke: boolean,
): 'revoke' | 'given' | 'batch' | 'expired' {
  if (!own || !revoke) return 'given';
  if (!revocable) return 'batch';
  // What only seems to be over here may live on there: a clock was set, or an answer came late or not at all.
  return dead && !rejectedOnArrival ? 'expired' : 'revoke';
}

/** The request that revokes a token, sent with the token itself. */
export function revocation({ namespaceOverride }: VaultToken): ApiRequest {
  return { ...namespaceOverride, method: 'POST', path: 'auth/token/revoke-self', body: {}, lane: 'vital' };
}
